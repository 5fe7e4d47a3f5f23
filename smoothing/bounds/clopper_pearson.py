"""Clopper–Pearson: exact confidence bounds on one binomial probability, and what n votes can prove at most.

The inverse of the binomial tail is not taken at its word: SciPy's is 1e-11 off at times, and far off or NaN
where alpha is below 1e-90. The tail itself is computed at every bound, on both sides of it, and where the
inverse fails that test, the bound is searched for by the tail alone. Then it is moved outward by ``SLACK``
(relative), two orders of magnitude more than an error of the tail can move it, so that the stated direction
also holds for the real number which the float stands for. (Measured against 40-digit sums, for up to 10⁷
votes and alpha down to 1e-200: the tail is off by 5e-12 of itself at most, which is 3e-15 of p.) An upper
bound near 0 is also moved by one rounding of 1, since its inverse is found through 1 - p.
"""

import math
import sys
from collections.abc import Callable

from scipy import special

from smoothing.errors import require, require_number

SLACK = 1e-12
"""Relative outward margin of every bound."""

SMALLEST_ALPHA = 1e-200
"""The least failure probability that bounds are computed at; below 1e-260, SciPy gets tails wrong."""

SMALLEST_SPLIT = 1e-190
"""The least failure probability that is split, so that its parts are none too small."""

_TIGHT = 1e-9  # relative: a bound that could be better by more is searched for again
_SEARCH_STEPS = 70  # halvings of ln p, which begin below 700: enough for every digit of p


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

    def holds(p: float) -> bool:
        return bool(special.betainc(successes, trials - successes + 1, p) <= alpha)  # P(Bin ≥ successes)

    p_lower = float(special.betaincinv(successes, trials - successes + 1, alpha)) * (1.0 - SLACK / 2.0)
    if not holds(p_lower) or holds(p_lower * (1.0 + _TIGHT)):
        # P(Bin ≥ s) is at most C(n, s)·p^s, and so at most (n·p)^s.
        p_lower, _ = _search(holds, alpha ** (1.0 / successes) / trials / 2.0, 1.0)
    return p_lower * (1.0 - SLACK / 2.0)


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

    def holds(p: float) -> bool:
        return bool(special.betaincc(successes + 1, trials - successes, p) <= alpha)  # P(Bin ≤ successes)

    root = float(special.betainccinv(successes + 1, trials - successes, alpha))
    p_upper = min(1.0, root * (1.0 + SLACK / 2.0))
    if not holds(p_upper) or holds(p_upper * (1.0 - _TIGHT)):
        _, p_upper = _search(lambda p: not holds(p), 1e-300, 1.0)
    return min(1.0, p_upper * (1.0 + SLACK / 2.0) + sys.float_info.epsilon)


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
    require_alpha(alpha)
    mantissa, exponent = math.frexp(alpha)  # alpha = mantissa · 2^exponent exactly, ½ ≤ mantissa < 1
    n = 2 - exponent if mantissa == 0.5 else 1 - exponent
    return n if perfect_vote_p_lower(n, alpha) > 0.5 else n + 1


def require_alpha(alpha: float, limit: float = 1.0) -> None:
    """Refuse a failure probability outside (0, ``limit``)."""
    require_number(alpha, "alpha")
    require(0.0 < alpha < limit, "alpha", f"be in (0, {limit:g})", alpha)


def _search(holds: Callable[[float], bool], low: float, high: float) -> tuple[float, float]:
    """Two neighbours: it holds at the first, as it does at ``low``, and not at the second, as at ``high``."""
    for _ in range(_SEARCH_STEPS):
        middle = math.sqrt(low) * math.sqrt(high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low, high


def _require_binomial(successes: int, trials: int, alpha: float) -> None:
    require_alpha(alpha)
    require(alpha >= SMALLEST_ALPHA, "alpha", f"be >= {SMALLEST_ALPHA} to be computed with", alpha)
    require(trials >= 1, "trials", "be >= 1", trials)
    require(0 <= successes <= trials, "successes", f"be in 0..{trials}", successes)
