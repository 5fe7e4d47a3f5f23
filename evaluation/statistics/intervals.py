"""How far what was measured may be from the truth: accuracies, average radii, and their differences."""

from collections.abc import Sequence
from math import log, sqrt
from statistics import fmean, stdev

from scipy.optimize import brentq
from scipy.stats import beta
from scipy.stats import norm as normal
from scipy.stats import t as student

_APART = 1e-9  # the score is 0/0 at the difference that was found, if no image differs or all do


def clopper_pearson_interval(right: int, images: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return a two-sided interval for the accuracy on *all* images of the kind that these were drawn from.

    It is about the choice of test images, taken for independent draws: with probability ``confidence`` over
    that choice it holds the share of all such images that this procedure would count. It says nothing of
    certificates that are wrong, for which there is ``guaranteed_accuracy``.

    Reference:
        Clopper & Pearson, Biometrika 26 (1934).

    >>> [round(end, 4) for end in clopper_pearson_interval(8, 10)]
    [0.4439, 0.9748]
    >>> clopper_pearson_interval(0, 10)[0], clopper_pearson_interval(10, 10)[1]
    (0.0, 1.0)
    """
    tail = (1.0 - confidence) / 2.0
    low = 0.0 if right == 0 else float(beta.ppf(tail, right, images - right + 1))
    high = 1.0 if right == images else float(beta.ppf(1.0 - tail, right + 1, images - right))
    return low, high


def guaranteed_accuracy(accuracy: float, images: int, alpha: float, rho: float = 0.001) -> float:
    """Return a lower bound of the true certified accuracy on *these* images, at failure probability ``rho``.

    Each certificate is wrong with probability at most ``alpha``, independently; Bernstein's inequality bounds
    how many of them are wrong together:
    accuracy − α − sqrt(2α(1 − α)ln(1/ρ)/m) − ln(1/ρ)/(3m), and 0 if that is negative. It is about the votes,
    not about the choice of images.

    The public code of the paper lacks the factor 2 under the root. Without it the bound can fail more often
    than ``rho``: at α = 0.01, m = 10 000 and ρ = 0.01, the exact binomial probability is 0.0139.

    Args:
        accuracy: Certified accuracy as measured, at any one radius.
        images: m, how many images it was measured on.
        alpha: Failure probability of each certificate.
        rho: Failure probability of this bound.

    Reference:
        Cohen, Rosenfeld & Kolter, "Certified Adversarial Robustness via Randomized Smoothing", ICML 2019,
        appendix on certified test set accuracy.

    >>> round(guaranteed_accuracy(0.8, 500, 0.001, 0.001), 4)
    0.7891
    """
    surprise = log(1.0 / rho)
    wrong = alpha + sqrt(2.0 * alpha * (1.0 - alpha) * surprise / images) + surprise / (3.0 * images)
    return max(0.0, accuracy - wrong)


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Return Student's interval for the mean over *all* images of the kind that these were drawn from.

    For average certified radii, whose distribution is unknown but bounded: right for many images, by the
    central limit theorem. Of the differences of two runs over the same images it is the paired comparison,
    which is much sharper than two intervals side by side, since easy images are easy for both.

    Args:
        values: One per image, two at least.
        confidence: Of the interval, over the choice of the images.

    Reference:
        Student, "The Probable Error of a Mean", Biometrika 6 (1908).

    >>> [round(end, 4) for end in mean_interval([0.0, 1.0, 1.0, 2.0])]
    [-0.2992, 2.2992]
    """
    images, mean = len(values), fmean(values)
    spread = stdev(values, mean) / sqrt(images)
    reach = float(student.ppf((1.0 + confidence) / 2.0, images - 1)) * spread
    return mean - reach, mean + reach


def paired_proportions_interval(
    gained: int, lost: int, images: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Return Tango's interval for the difference of two accuracies on the same images.

    It holds the differences that a score test would not reject. Unlike Student's interval it does not
    collapse where few images differ, or none.

    Args:
        gained: Images that the first alone answers right.
        lost: Images that the second alone answers right.
        images: All images.
        confidence: Of the interval, over the choice of the images; nearly so, since it is not an exact test.

    Reference:
        Tango, "Equivalence Test and Confidence Interval for the Difference in Proportions for the
        Paired-Sample Design", Statistics in Medicine 17 (1998).

    >>> [round(end, 4) for end in paired_proportions_interval(12, 2, 50)]
    [0.0611, 0.3447]
    >>> [round(end, 4) for end in paired_proportions_interval(0, 0, 200)]
    [-0.0188, 0.0188]
    """
    limit = float(normal.ppf((1.0 + confidence) / 2.0))

    def surplus(difference: float, sign: float) -> float:
        """How much further than ``limit`` the figures are from a true difference, on one side."""
        # the share of images lost, at the difference, that makes the figures most likely
        linear = (2 * images - gained + lost) * difference - gained - lost
        root = sqrt(linear**2 + 8 * images * lost * difference * (1.0 - difference))
        share = (root - linear) / (4 * images)
        spread = sqrt(images * max(0.0, 2.0 * share + difference * (1.0 - difference)))
        return sign * (gained - lost - images * difference) - limit * spread

    found = (gained - lost) / images
    low = -1.0 if found == -1.0 else float(brentq(surplus, -1.0, found - _APART, args=(1.0,)))
    high = 1.0 if found == 1.0 else float(brentq(surplus, found + _APART, 1.0, args=(-1.0,)))
    return low, high


def known_interval(values: Sequence[float], confidence: float) -> tuple[float, float] | tuple[None, None]:
    """Return ``mean_interval``, or nothing for one image: it does not say how much images differ."""
    return mean_interval(values, confidence) if len(values) >= 2 else (None, None)


def jackknife_interval(
    value: float, without: Sequence[float], confidence: float = 0.95
) -> tuple[float, float]:
    """Return Tukey's interval for a smooth function of means, such as a quotient of two error rates.

    Of a mean it is ``mean_interval``.

    Args:
        value: Of the function, on all images.
        without: Its value without one image, for each image in turn; two at least.
        confidence: Of the interval, over the choice of the images.

    Reference:
        Tukey, "Bias and Confidence in Not-Quite Large Samples", Annals of Mathematical Statistics 29 (1958).

    >>> [round(end, 4) for end in jackknife_interval(1.0, [4 / 3, 1.0, 1.0, 2 / 3])]
    [-0.2992, 2.2992]
    """
    images = len(without)
    low, high = mean_interval([(images - 1) * one for one in without], confidence)
    reach = (high - low) / 2.0
    return value - reach, value + reach
