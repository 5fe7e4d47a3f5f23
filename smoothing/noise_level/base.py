"""What choosing a noise level takes and gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from smoothing.sampling import BaseClassifier

ClassifierFor = Callable[[float], BaseClassifier]
"""The base classifier that is to be smoothed at this sigma: adapted for it, or the same at every sigma."""


@dataclass(frozen=True)
class SigmaTrial:
    """What a few noisy copies say about one noise level. Nothing in it is certified.

    Attributes:
        sigma: The noise level tried.
        proxy_radius: How good it looks, in pixel units and in the noise's own norm. A proxy: it was used to
            choose, so it is no certified radius.
        certifies: Whether the proxy radius is positive.
        top_count: Copies that were given the class it is about.
        n: Copies classified.
    """

    sigma: float
    proxy_radius: float
    certifies: bool
    top_count: int
    n: int


@dataclass(frozen=True)
class ChosenSigma:
    """The noise level chosen for one image. It says where to certify; it certifies nothing.

    A certificate at this sigma, from fresh votes, is about g_σ, the classifier smoothed at this one sigma.
    The classifier that chooses a sigma for every input anew is another one, and the theorem for fixed noise
    does not cover it: at a perturbed image it may choose differently.

    Attributes:
        sigma: Standard deviation of the noise in each coordinate, pixel units.
        certifies: Whether any noise level that was tried promises a certificate.
        proxy_radius: The proxy radius there, in pixel units and in the noise's own norm; not certified.
        samples: Noisy copies of this image classified while choosing.
        trials: What was tried, in order.
    """

    sigma: float
    certifies: bool
    proxy_radius: float
    samples: int
    trials: tuple[SigmaTrial, ...]


def chosen(best: SigmaTrial, trials: Sequence[SigmaTrial]) -> ChosenSigma:
    """The best of the trials; if it does not certify, none does."""
    samples = sum(trial.n for trial in trials)
    return ChosenSigma(best.sigma, best.certifies, best.proxy_radius, samples, tuple(trials))
