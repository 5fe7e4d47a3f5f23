"""The two bounds that certificates are made with: one-sided (the paper's) and two-sided."""

import numpy as np

from smoothing.bounds.base import Bound, Counts, largest_other, remainder, require_counts, require_votes
from smoothing.bounds.clopper_pearson import (
    SMALLEST_SPLIT,
    lower_confidence_bound,
    require_alpha,
    upper_confidence_bound,
)
from smoothing.errors import require

UPPER_SHARE = 0.1
"""Share of alpha that ``two_sided`` spends on the runner-up, fixed before any vote is seen."""


def split_alpha(selection_counts: Counts, alpha: float) -> float:
    """How much of ``alpha`` the two-sided bound should spend on the runner-up, from the selection votes.

    Nothing when they show at most two classes: then 1 − p_lower bounds the runner-up as well as its own votes
    could. Nothing, too, of an alpha below ``SMALLEST_SPLIT``. The choice is free because the selection votes
    are independent of the votes that are bounded; choosing from the *estimation* votes would not be.

    Args:
        selection_counts: Selection votes per class ``(k,)``, int64.
        alpha: Failure probability to split, in (0, 1).

    Raises:
        InvalidParameter: ``selection_counts`` are no votes, or ``alpha`` is out of range.

    >>> split_alpha(np.array([60, 40, 0]), 0.001), split_alpha(np.array([60, 30, 10]), 0.001)
    (0.0, 0.0001)
    """
    require_counts(selection_counts, "selection_counts")
    require_alpha(alpha)
    return 0.0 if np.count_nonzero(selection_counts) <= 2 else _upper_share(alpha)


def _upper_share(alpha: float) -> float:
    return UPPER_SHARE * alpha if alpha >= SMALLEST_SPLIT else 0.0


def one_sided(
    counts: Counts,
    top_class: int,
    alpha: float,
    *,
    alpha_upper: float | None = None,  # noqa: ARG001 (the common signature)
) -> Bound:
    """Bound the top class from below and give all the rest to the runner-up: p_upper = 1 − p_lower.

    Args:
        counts: Estimation votes per class ``(k,)``, int64.
        top_class: The class to certify, chosen from other, independent votes.
        alpha: Failure probability, in (0, 1).
        alpha_upper: Part of the common signature; this bound spends all of ``alpha`` from below whatever it
            is.

    Raises:
        InvalidParameter: An argument is out of range.

    Reference:
        Cohen, Rosenfeld & Kolter, "Certified Adversarial Robustness via Randomized Smoothing", ICML 2019,
        §3.2.2.

    >>> bound = one_sided(np.array([550, 250, 200]), 0, 0.05)
    >>> round(bound.p_lower, 4), round(bound.p_upper, 4), bound.certifies
    (0.5235, 0.4765, True)
    """
    return two_sided(counts, top_class, alpha, alpha_upper=0.0)


def two_sided(counts: Counts, top_class: int, alpha: float, *, alpha_upper: float | None = None) -> Bound:
    """Bound the top class from below and every other class from above, by the runner-up's own votes.

    The probability of failure is at most ``alpha``, with no correction for the number of classes: let c* be
    the truly most probable other class, which is not random. Its count is at most the largest other count,
    and the upper bound grows with the count, so bounding the largest count bounds c* too. The top class may
    therefore be certified below ½.

    The runner-up must be, and here is, taken from the same votes that are bounded. Taking it from the
    selection votes would be unsound: those may miss c*.

    Args:
        counts: Estimation votes per class ``(k,)``, int64.
        top_class: The class to certify, chosen from other, independent votes.
        alpha: Failure probability of the pair, in (0, 1).
        alpha_upper: The part of it spent on p_upper, chosen without looking at ``counts``; 0 gives the
            one-sided bound. Default: a tenth, or nothing of an alpha below ``SMALLEST_SPLIT``.

    Raises:
        InvalidParameter: An argument is out of range.

    Reference:
        The two-sided radius is Cohen, Rosenfeld & Kolter, ICML 2019, Theorem 1 (equations 2 and 3).

    >>> bound = two_sided(np.array([550, 250, 200]), 0, 0.05)
    >>> round(bound.p_lower, 4), round(bound.p_upper, 4), bound.runner_up
    (0.5227, 0.2869, 1)
    """
    if alpha_upper is None:
        alpha_upper = _upper_share(alpha)
    require_votes(counts, top_class, alpha)
    require(0.0 <= alpha_upper < alpha, "alpha_upper", f"be in [0, alpha = {alpha})", alpha_upper)

    n = int(counts.sum())
    alpha_lower = remainder(alpha, alpha_upper)
    runner_up, runner_up_votes = largest_other(counts, top_class)
    p_lower = lower_confidence_bound(int(counts[top_class]), n, alpha_lower)
    p_upper = 1.0 - p_lower
    if alpha_upper > 0.0:
        p_upper = min(p_upper, upper_confidence_bound(runner_up_votes, n, alpha_upper))
    return Bound(
        p_lower, p_upper, alpha_lower, alpha_upper, top_class, runner_up if runner_up_votes > 0 else None
    )
