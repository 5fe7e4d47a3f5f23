"""When to look at the votes, and how much failure probability each look may spend.

A look is a bound computed from the first ``n`` votes at its own ``alpha``. By the union bound all looks of
a schedule hold *at once*, except with probability at most the sum of their alphas, although they share
votes: the largest radius of any look so far is valid at any time, and the work may stop after any look.
"""

from dataclasses import dataclass

from smoothing.bounds import SMALLEST_SPLIT, minimum_samples, require_alpha
from smoothing.errors import require_count

_SHORTEST_SPLIT = 1000
_FIRST = 100  # no look of `look_schedule` comes before this many votes
_SHORTEST_STEP = 32  # a smaller batch saves hardly any time
_LAST_SHARE = 0.8  # a slightly weaker early look costs nothing
_SHAVE = 1.0 - 2.0**-40  # so that rounding cannot carry the sum of the alphas above alpha


@dataclass(frozen=True)
class Look:
    """A bound at failure probability ``alpha`` from the first ``n`` estimation votes."""

    n: int
    alpha: float

    def __post_init__(self) -> None:
        require_count(self.n, "n")
        require_alpha(self.alpha)


def look_schedule(n: int, alpha: float) -> tuple[Look, ...]:
    """Looks at doubling numbers of votes, ending at ``n``, that all hold at once at failure rate ``alpha``.

    Four fifths of alpha are kept for the last look, the rest is shared equally by the earlier ones; the last
    look so loses next to nothing (3.804σ instead of 3.812σ at best for n = 100 000, alpha = 0.001).
    No look comes before 100 votes, or where even unanimous votes could not certify; n < 1000 is not worth
    splitting.

    Args:
        n: Estimation votes in all, at least 1.
        alpha: Failure probability of all looks together, in (0, 1).

    Raises:
        InvalidParameter: An argument is out of range.

    Reference:
        Bonferroni's inequality over fixed looks.

    >>> [look.n for look in look_schedule(10_000, 0.001)]
    [157, 313, 625, 1250, 2500, 5000, 10000]
    >>> sum(look.alpha for look in look_schedule(10_000, 0.001)) <= 0.001
    True
    """
    whole = (Look(n, alpha),)
    if alpha < SMALLEST_SPLIT or n < _SHORTEST_SPLIT or n < minimum_samples(_LAST_SHARE * alpha):
        return whole
    earlier = _halvings(n)
    while earlier and earlier[0] < minimum_samples(_share(alpha, len(earlier))):
        earlier = earlier[1:]
    if not earlier:
        return whole
    share = _share(alpha, len(earlier))
    return (*(Look(votes, share) for votes in earlier), Look(n, _LAST_SHARE * alpha))


def target_schedule(n: int, alpha: float) -> tuple[Look, ...]:
    """Many looks for deciding early, ending at ``n``, that all hold at once at failure rate ``alpha``.

    Each look comes a fifth, and at least 32 votes, after the one before, so that sampling stops soon
    after there are enough votes for the target. The j-th look spends 5·alpha / ((j + 4)(j + 5)) and the last
    one all that is left of this series, whose sum is alpha. Compared with ``look_schedule`` the final radius
    is smaller (3.74σ instead of 3.80σ at best for n = 100 000, alpha = 0.001), since most of alpha goes to
    early looks.

    Args:
        n: Estimation votes in all, at least 1.
        alpha: Failure probability of all looks together, in (0, 1).

    Raises:
        InvalidParameter: An argument is out of range.

    Reference:
        Voráček, "Treatment of Statistical Estimation Problems in Randomized Smoothing for Adversarial
        Robustness", NeurIPS 2024: the union-bound confidence sequence. There looks are a tenth apart from the
        first vote on; here none is spent on votes too few to certify or on steps too short to save time, and
        the series starts at the first look kept, which saves a sixth of the votes.

    >>> [look.n for look in target_schedule(1000, 0.001)]
    [32, 64, 96, 128, 160, 192, 231, 278, 334, 401, 482, 579, 695, 1000]
    >>> sum(look.alpha for look in target_schedule(1000, 0.001)) <= 0.001
    True
    """
    whole = (Look(n, alpha),)
    if alpha < SMALLEST_SPLIT:
        return whole
    earlier = []
    votes = max(_SHORTEST_STEP, minimum_samples(alpha / 6))
    while (following := max(votes + _SHORTEST_STEP, -(-6 * votes // 5))) <= n:
        earlier.append(votes)
        votes = following
    if not earlier:
        return whole
    series = [5 * alpha / ((j + 4) * (j + 5)) * _SHAVE for j in range(1, len(earlier) + 1)]
    rest = 5 * alpha / (len(earlier) + 5) * _SHAVE
    return (*(Look(votes, share) for votes, share in zip(earlier, series, strict=True)), Look(n, rest))


def _halvings(n: int) -> list[int]:
    """n/2, n/4, … rounded up, down to ``_FIRST``, in rising order and without n itself."""
    votes = []
    divisor = 2
    while (quotient := -(-n // divisor)) >= _FIRST:
        votes.append(quotient)
        divisor *= 2
    return votes[::-1]


def _share(alpha: float, looks: int) -> float:
    """One of ``looks`` equal parts of what the last look leaves."""
    return (1.0 - _LAST_SHARE) * alpha / looks * _SHAVE
