"""Confidence bounds on class probabilities, from votes.

Everything here is float64 arithmetic on int64 counts; nothing knows about images, noise or torch. ``alpha``
is always a *failure* probability: the chance, over the votes, that the bound is wrong.

Every bound is moved outward by ``SLACK`` (relative), orders of magnitude more than the special functions'
error, so that the stated direction also holds for the real number which the float stands for.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special

from smoothing.errors import require

Counts = NDArray[np.int64]

SLACK = 1e-12
"""Relative outward margin of every bound."""

UPPER_SHARE = 0.1
"""Share of alpha that ``two_sided`` spends on the runner-up, fixed before any vote is seen."""


@dataclass(frozen=True)
class Bound:
    """Bounds on the top class's probability from below and on every other class's from above.

    With probability at least 1 − (``alpha_lower`` + ``alpha_upper``) over the estimation votes, both hold.

    Attributes:
        p_lower: Lower bound on the probability of ``top_class``.
        p_upper: Upper bound on the probability of each other class.
        alpha_lower: Failure probability spent on ``p_lower``.
        alpha_upper: Failure probability spent on ``p_upper``.
        top_class: The class that is to be certified.
        runner_up: The other class with the most estimation votes; None when no other class got any.
    """

    p_lower: float
    p_upper: float
    alpha_lower: float
    alpha_upper: float
    top_class: int
    runner_up: int | None

    @property
    def certifies(self) -> bool:
        """Whether the top class is proved more probable than every other."""
        return self.p_lower > self.p_upper


class BoundFunction(Protocol):
    """How every entry of ``BOUNDS`` is called."""

    def __call__(
        self, counts: Counts, top_class: int, alpha: float, *, alpha_upper: float | None = None
    ) -> Bound:
        """Bound the class probabilities behind ``counts`` ``(k,)`` with failure probability ``alpha``."""


def lower_confidence_bound(successes: int, trials: int, alpha: float) -> float:
    """One-sided Clopper–Pearson lower bound: at most p, except with probability ``alpha``.

    The largest p (less the slack) with P(Bin(trials, p) ≥ successes) ≤ alpha.

    Args:
        successes: Votes for the class, 0 to ``trials``.
        trials: Votes in all, at least 1.
        alpha: Failure probability, in (0, 1).

    Raises:
        InvalidParameter: An argument is out of range.

    Reference:
        Clopper & Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
        Biometrika 26 (1934).

    >>> round(lower_confidence_bound(990, 1000, 0.001), 6)
    0.976036
    >>> lower_confidence_bound(0, 1000, 0.001)
    0.0
    """
    _require_binomial(successes, trials, alpha)
    if successes == 0:
        return 0.0
    if successes == trials:
        return perfect_vote_p_lower(trials, alpha)
    return float(special.betaincinv(successes, trials - successes + 1, alpha)) * (1.0 - SLACK)


def upper_confidence_bound(successes: int, trials: int, alpha: float) -> float:
    """One-sided Clopper–Pearson upper bound: at least p, except with probability ``alpha``.

    The smallest p (plus the slack) with P(Bin(trials, p) ≤ successes) ≤ alpha.

    Args:
        successes: Votes for the class, 0 to ``trials``.
        trials: Votes in all, at least 1.
        alpha: Failure probability, in (0, 1).

    Raises:
        InvalidParameter: An argument is out of range.

    Reference:
        Clopper & Pearson, Biometrika 26 (1934).

    >>> round(upper_confidence_bound(10, 1000, 0.001), 6)
    0.023964
    >>> upper_confidence_bound(1000, 1000, 0.001)
    1.0
    """
    _require_binomial(successes, trials, alpha)
    if successes == trials:
        return 1.0
    return min(1.0, float(special.betainccinv(successes + 1, trials - successes, alpha)) * (1.0 + SLACK))


def perfect_vote_p_lower(n: int, alpha: float) -> float:
    """Lower bound when all ``n`` votes agree, alpha^(1/n): the most that n votes can ever prove.

    Args:
        n: Votes, at least 1.
        alpha: Failure probability, in (0, 1).

    Raises:
        InvalidParameter: An argument is out of range.

    >>> round(perfect_vote_p_lower(100_000, 0.001), 7)
    0.9999309
    """
    _require_binomial(n, n, alpha)
    return float(alpha ** (1.0 / n) * (1.0 - SLACK))


def minimum_samples(alpha: float) -> int:
    """Fewest votes that can certify anything at ``alpha``: the least n with alpha^(1/n) > ½.

    That is ⌈ln alpha / ln ½⌉, and one more where alpha is a power of ½, since p_lower = ½ abstains.

    Args:
        alpha: Failure probability, in (0, 1).

    Raises:
        InvalidParameter: ``alpha`` is out of range.

    >>> minimum_samples(0.001), minimum_samples(2.0**-10), minimum_samples(0.5)
    (10, 11, 2)
    """
    _require_alpha(alpha)
    mantissa, exponent = math.frexp(alpha)  # alpha = mantissa · 2^exponent exactly, ½ ≤ mantissa < 1
    n = 2 - exponent if mantissa == 0.5 else 1 - exponent
    return n if perfect_vote_p_lower(n, alpha) > 0.5 else n + 1


def split_alpha(selection_counts: Counts, alpha: float) -> float:
    """How much of ``alpha`` the two-sided bound should spend on the runner-up, from the selection votes.

    Nothing when they show at most two classes: then 1 − p_lower bounds the runner-up as well as its own votes
    could. The choice is free because the selection votes are independent of the votes that are bounded;
    choosing from the *estimation* votes would not be.

    Args:
        selection_counts: Selection votes per class ``(k,)``, int64.
        alpha: Failure probability to split, in (0, 1).

    Raises:
        InvalidParameter: ``selection_counts`` are no votes, or ``alpha`` is out of range.

    >>> split_alpha(np.array([60, 40, 0]), 0.001), split_alpha(np.array([60, 30, 10]), 0.001)
    (0.0, 0.0001)
    """
    _require_counts(selection_counts, "selection_counts")
    _require_alpha(alpha)
    return 0.0 if np.count_nonzero(selection_counts) <= 2 else UPPER_SHARE * alpha


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
            one-sided bound. Default: a tenth.

    Raises:
        InvalidParameter: An argument is out of range.

    Reference:
        The two-sided radius is Cohen, Rosenfeld & Kolter, ICML 2019, Theorem 1 (equations 2 and 3).

    >>> bound = two_sided(np.array([550, 250, 200]), 0, 0.05)
    >>> round(bound.p_lower, 4), round(bound.p_upper, 4), bound.runner_up
    (0.5227, 0.2869, 1)
    """
    if alpha_upper is None:
        alpha_upper = UPPER_SHARE * alpha
    _require_counts(counts, "counts")
    _require_alpha(alpha)
    require(0 <= top_class < len(counts), "top_class", f"be in 0..{len(counts) - 1}", top_class)
    require(0.0 <= alpha_upper < alpha, "alpha_upper", f"be in [0, alpha = {alpha})", alpha_upper)

    n = int(counts.sum())
    alpha_lower = _remainder(alpha, alpha_upper)
    runner_up, runner_up_votes = _largest_other(counts, top_class)
    p_lower = lower_confidence_bound(int(counts[top_class]), n, alpha_lower)
    p_upper = 1.0 - p_lower
    if alpha_upper > 0.0:
        p_upper = min(p_upper, upper_confidence_bound(runner_up_votes, n, alpha_upper))
    return Bound(
        p_lower, p_upper, alpha_lower, alpha_upper, top_class, runner_up if runner_up_votes > 0 else None
    )


BOUNDS: Mapping[str, BoundFunction] = MappingProxyType({"one_sided": one_sided, "two_sided": two_sided})
"""Every bound by its public name."""


def _largest_other(counts: Counts, top_class: int) -> tuple[int, int]:
    """The class other than ``top_class`` with the most votes, and its votes."""
    others = counts.copy()
    others[top_class] = -1
    runner_up = int(others.argmax())
    return runner_up, int(others[runner_up])


def _remainder(alpha: float, part: float) -> float:
    """``alpha − part``, rounded down where the parts would otherwise add up to more than alpha."""
    rest = alpha - part
    return math.nextafter(rest, 0.0) if rest + part > alpha else rest


def _require_alpha(alpha: float) -> None:
    require(0.0 < alpha < 1.0, "alpha", "be in (0, 1)", alpha)


def _require_binomial(successes: int, trials: int, alpha: float) -> None:
    _require_alpha(alpha)
    require(trials >= 1, "trials", "be >= 1", trials)
    require(0 <= successes <= trials, "successes", f"be in 0..{trials}", successes)


def _require_counts(counts: Counts, name: str) -> None:
    require(counts.ndim == 1 and len(counts) >= 2, name, "have shape (k,), k >= 2", counts.shape)
    require(np.issubdtype(counts.dtype, np.integer), name, "be integers", counts.dtype)
    require(bool(counts.min() >= 0), name, "be >= 0", counts.min())
    require(bool(counts.sum() >= 1), name, "hold at least one vote", counts.sum())
