"""T-Certify, the published two-sided bound that tries several splits of alpha and keeps the best."""

import math

import numpy as np
from scipy import optimize, special

from smoothing.bounds.base import Bound, Counts, largest_other, remainder, require_votes
from smoothing.bounds.clopper_pearson import (
    SLACK,
    SMALLEST_SPLIT,
    lower_confidence_bound,
    require_alpha,
    upper_confidence_bound,
)
from smoothing.errors import require

SPLITS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Shares of alpha that are tried for p_lower (α'/α): the grid of the published experiments."""

_TINIEST = 5e-324


def t_certify(
    counts: Counts,
    top_class: int,
    alpha: float,
    *,
    alpha_upper: float | None = None,  # noqa: ARG001 (the common signature)
) -> Bound:
    """Bound both sides with the split of ``alpha`` in ``SPLITS`` that gives the largest Gaussian radius.

    At each split α' the top class is bounded from below at α' and all others from above at α − α', by
    ``joint_upper_confidence_bound``. At α' = α nothing is left for them, and p_upper = 1 − p_lower as in the
    one-sided bound. A p_lower of at most ½ certifies nothing, whatever the others' votes.

    This is the bound as it was published, for reproducing its curves. At a split fixed in advance it fails
    with probability at most ``alpha``. The published proof does not cover taking the best split by the very
    votes that are bounded: no simulation has failed more often than ``alpha``, but nothing proves it. Rely on
    ``two_sided`` instead, which fixes the split without those votes and can certify below ½.

    Args:
        counts: Estimation votes per class ``(k,)``, int64.
        top_class: The class to certify, chosen from other, independent votes.
        alpha: Failure probability of the pair at each single split, in (0, 1).
        alpha_upper: Part of the common signature; this bound searches for the split whatever it is, and
            records the one chosen in ``Bound.alpha_lower`` and ``Bound.alpha_upper``.

    Raises:
        InvalidParameter: An argument is out of range.

    Reference:
        Feng, Wu, Chen, Zhang & Ning, "Regularized Training and Tight Certification for Randomized Smoothed
        Classifier with Provable Robustness", AAAI 2020, equation 14 and Algorithm 2 (T-CERTIFY).

    >>> bound = t_certify(np.array([550, 250, 200]), 0, 0.05)
    >>> round(bound.p_lower, 4), round(bound.p_upper, 4), round(bound.alpha_lower, 4)
    (0.5186, 0.2781, 0.025)
    """
    require_votes(counts, top_class, alpha)
    require(alpha >= SMALLEST_SPLIT, "alpha", f"be >= {SMALLEST_SPLIT} to be split", alpha)
    bounds = [_at_split(share, counts, top_class, alpha) for share in SPLITS]
    return max(bounds, key=_width) if bounds[-1].p_lower > 0.5 else bounds[-1]


def joint_upper_confidence_bound(successes: Counts, trials: int, alpha: float) -> float:
    """Upper bound on each of several classes: at least every p_j, except with probability ``alpha``.

    The smallest p (plus the slack) with Σ_j P(Bin(trials, p) ≤ successes_j) ≤ alpha: by the union bound it
    holds for all classes at once. One class alone gives the Clopper–Pearson bound.

    Args:
        successes: Votes of each class ``(m,)``, int64, together at most ``trials``.
        trials: Votes in all, at least 1.
        alpha: Failure probability, in (0, 1).

    Raises:
        InvalidParameter: An argument is out of range.

    Reference:
        Feng et al., AAAI 2020, equation 14 (p_B).

    >>> round(joint_upper_confidence_bound(np.array([250, 200]), 1000, 0.005), 6)
    0.286922
    """
    require_alpha(alpha)
    require(trials >= 1, "trials", "be >= 1", trials)
    require(successes.ndim == 1 and len(successes) >= 1, "successes", "have shape (m,)", successes.shape)
    require(bool(successes.min() >= 0), "successes", "be >= 0", successes.min())
    require(bool(successes.sum() <= trials), "successes", f"sum to at most {trials}", successes.sum())
    votes, classes = np.unique(successes, return_counts=True)
    most = int(votes[-1])
    if most == trials:
        return 1.0

    def excess(p: float) -> float:
        """The logarithm of the sum over alpha, which is close to linear in p between the brackets."""
        tails = special.betaincc(votes + 1, trials - votes, p)  # bdtr would round 1 - p, n times
        ratio = float(classes @ tails) / alpha
        return math.log(max(ratio, _TINIEST))  # a tail may be too small for a float

    # The class with the most votes has the largest of the m tails, which is between alpha / m and alpha.
    low = upper_confidence_bound(most, trials, alpha)
    high = upper_confidence_bound(most, trials, alpha / len(successes))
    if excess(low) <= 0.0:
        return low
    if excess(high) >= 0.0:  # as for m = 1, where the two are the same
        return high
    root = optimize.brentq(excess, low, high, xtol=1e-300, rtol=SLACK / 10.0)
    return min(1.0, float(root) * (1.0 + SLACK))


def _at_split(share: float, counts: Counts, top_class: int, alpha: float) -> Bound:
    """The pair of bounds with so much of alpha spent on p_lower and the rest on p_upper."""
    n = int(counts.sum())
    alpha_lower = share * alpha
    alpha_upper = remainder(alpha, alpha_lower)
    runner_up, runner_up_votes = largest_other(counts, top_class)
    p_lower = lower_confidence_bound(int(counts[top_class]), n, alpha_lower)
    p_upper = 1.0 - p_lower
    if alpha_upper > 0.0:
        others = np.delete(counts, top_class)
        p_upper = min(p_upper, joint_upper_confidence_bound(others, n, alpha_upper))
    return Bound(
        p_lower, p_upper, alpha_lower, alpha_upper, top_class, runner_up if runner_up_votes > 0 else None
    )


def _width(bound: Bound) -> float:
    """What the Gaussian radius is proportional to; 0 where p_lower is too small to certify."""
    if bound.p_lower <= 0.5:
        return 0.0
    return float(special.ndtri(bound.p_lower) - special.ndtri(bound.p_upper))
