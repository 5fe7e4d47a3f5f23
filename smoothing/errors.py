"""What can go wrong while a guarantee is computed.

The tree::

    SmoothingError (ValueError)
    ├── InvalidParameter              an argument breaks its rule; the message names field, rule and value
    ├── NotAdaptable                  (in ``adaptation``) there are no batch-norm statistics to estimate again
    ├── BrokenInvariant               (in ``regions``) certified regions of different label overlap
    ├── Undecidable                   (in ``regions``) rounding hides which of two regions holds a point
    └── UnusableClassifier            nothing can be certified about this base classifier
        ├── NonFiniteGradient         its logits are finite, and their derivative in the image is not
        ├── InvalidLogits             its answer is not a floating ``(b, k)`` tensor
        │   └── NonFiniteLogits       its logits hold NaN or infinity, which have no argmax to vote for
        └── BatchDependentClassifier  its answer about one image depends on the others in the batch

An abstention is an answer, not an error.
"""

from numbers import Real


class SmoothingError(ValueError):
    """Base of every error that this package raises itself."""


class InvalidParameter(SmoothingError):
    """An argument breaks its rule."""


class UnusableClassifier(SmoothingError):
    """Nothing can be certified about this base classifier."""


class InvalidLogits(UnusableClassifier):
    """The base classifier's answer is not a floating ``(b, k)`` tensor."""


class NonFiniteLogits(InvalidLogits):
    """The base classifier's logits hold NaN or infinity."""


class NonFiniteGradient(UnusableClassifier):
    """The derivative of the base classifier's logits holds NaN or infinity, which lead nowhere."""


class BatchDependentClassifier(UnusableClassifier):
    """The base classifier's answer about one image depends on its batch, or on chance."""


def require(holds: bool, name: str, rule: str, value: object) -> None:
    """Raise ``InvalidParameter`` unless the rule about the named argument holds.

    >>> require(-0.5 > 0, "sigma", "be > 0", -0.5)
    Traceback (most recent call last):
    smoothing.errors.InvalidParameter: 'sigma' must be > 0, got -0.5
    """
    if not holds:
        raise InvalidParameter(f"'{name}' must {rule}, got {value!r}")


def require_number(value: object, name: str) -> None:
    """Raise ``InvalidParameter`` unless the named argument is a real number."""
    require(isinstance(value, Real), name, "be a number", value)


def require_count(value: int, name: str, least: int = 1) -> None:
    """Raise ``InvalidParameter`` unless the named argument is an integer, and at least this large."""
    require(isinstance(value, int), name, "be an integer", value)
    require(value >= least, name, f"be >= {least}", value)
