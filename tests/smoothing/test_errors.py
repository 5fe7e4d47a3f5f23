"""The error tree and its messages."""

import pytest

from smoothing import errors


@pytest.mark.parametrize(
    "kind",
    [
        errors.InvalidParameter,
        errors.UnusableClassifier,
        errors.InvalidLogits,
        errors.NonFiniteLogits,
        errors.NonFiniteGradient,
        errors.BatchDependentClassifier,
    ],
)
def test_every_error_is_a_smoothing_error_and_a_value_error(kind: type[Exception]) -> None:
    """One except clause catches them all, and so does the built-in one."""
    assert issubclass(kind, errors.SmoothingError)
    assert issubclass(kind, ValueError)


def test_message_names_field_rule_and_value() -> None:
    """A reader of the message needs no traceback."""
    with pytest.raises(errors.InvalidParameter, match=r"^'sigma' must be > 0, got -0\.5$"):
        errors.require(False, "sigma", "be > 0", -0.5)
