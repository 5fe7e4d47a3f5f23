"""Bounds looked at many times fail at most as often as they say, all looks together: simulation of the votes.

As in ``test_coverage``: 20 000 sets of votes at 0.05, and a limit that the binomial exceeds with probability one
in a million. The union bound is cautious, so a schedule computed at twice alpha need
not fail more often than alpha; that the simulation would notice is shown with procedures that do.
"""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from smoothing import BOUNDS, Gaussian, Look, Noise, look_schedule
from smoothing.bounds import (
    Counts,
    lower_confidence_bound,
    split_alpha,
    upper_confidence_bound,
)
from smoothing.noises.uniform import Uniform
from smoothing.stopping import target_schedule
from smoothing.stopping.giving_up import hopeless, share_beta

TRIALS = 20_000
ALPHA = 0.05
N0 = 100
N = 2000
LIMIT = int(stats.binom.ppf(1 - 1e-6, TRIALS, ALPHA))
P = {
    "null": (0.5, 0.5),
    "near_null": (0.51, 0.49),
    "three": (0.6, 0.2, 0.2),
    "near_tie_of_three": (0.35, 0.33, 0.32),
    "confident": (0.99, 0.005, 0.005),
}


@pytest.fixture
def rng() -> np.random.Generator:
    """The same votes in each run, so that no run fails by chance alone."""
    return np.random.default_rng(20241210)


def votes_at(rng: np.random.Generator, p: tuple[float, ...], looks: Sequence[Look]) -> list[Counts]:
    """Votes ``(trials, k)`` at each look; later looks contain the earlier votes."""
    steps = np.diff([0, *(look.n for look in looks)])
    return list(np.cumsum([rng.multinomial(int(step), p, size=TRIALS) for step in steps], axis=0))


def over_counts(counts: NDArray[np.int64], function: Callable[[int], float]) -> NDArray[np.float64]:
    """The function of each count, computed once per different count."""
    unique, places = np.unique(counts, return_inverse=True)
    values = np.array([function(int(count)) for count in unique], dtype=np.float64)
    return values[places.reshape(counts.shape)]


def wrong_at(
    bound: str, p: tuple[float, ...], selection: Counts, counts: Counts, alpha: float
) -> NDArray[np.bool_]:
    """In which trials the bound at this look is wrong on either side: the radius may then be too large.

    ``p_upper`` is the smaller of 1 − p_lower, wrong only if p_lower is, and the runner-up's own bound.
    """
    rows, n = np.arange(TRIALS), int(counts[0].sum())
    top_class = selection.argmax(axis=1)
    others = counts.copy()
    others[rows, top_class] = -1
    p_other = np.array([max(q for label, q in enumerate(p) if label != top) for top in range(len(p))])
    wrong = np.zeros(TRIALS, dtype=np.bool_)
    for split in (False, True):
        in_play = (np.count_nonzero(selection, axis=1) > 2) == split
        alpha_upper = split_alpha(np.array([1, 1, int(split)]), alpha)
        spent = BOUNDS[bound](np.array([n, 0, 0]), 0, alpha, alpha_upper=alpha_upper)
        low = over_counts(
            counts[rows, top_class],
            cache(lambda votes, part=spent.alpha_lower: lower_confidence_bound(votes, n, part)),
        )
        wrong |= in_play & (low > np.array(p)[top_class])
        if spent.alpha_upper > 0.0:
            high = over_counts(
                others.max(axis=1),
                lambda votes, part=spent.alpha_upper: upper_confidence_bound(votes, n, part),
            )
            wrong |= in_play & (high < p_other[top_class])
    return wrong


def failures(rng: np.random.Generator, bound: str, p: tuple[float, ...], looks: Sequence[Look]) -> int:
    """Trials in which some look is wrong, and so whoever stops at the most favourable one may be."""
    selection = rng.multinomial(N0, p, size=TRIALS)
    wrong = np.zeros(TRIALS, dtype=np.bool_)
    for counts, look in zip(votes_at(rng, p, looks), looks, strict=True):
        wrong |= wrong_at(bound, p, selection, counts, look.alpha)
    return int(wrong.sum())


@pytest.mark.parametrize("name", P)
@pytest.mark.parametrize("bound", ["one_sided", "two_sided"])
def test_most_favourable_look_for_a_target_fails_at_most_at_alpha(
    rng: np.random.Generator, bound: str, name: str
) -> None:
    """Stopping where the votes look best is allowed."""
    failed = failures(rng, bound, P[name], target_schedule(N, ALPHA))
    assert failed <= LIMIT


@pytest.mark.parametrize("name", ["null", "near_null", "three", "near_tie_of_three"])
@pytest.mark.parametrize("bound", ["one_sided", "two_sided"])
def test_simulation_would_notice_looks_that_do_not_share_alpha(
    rng: np.random.Generator, bound: str, name: str
) -> None:
    """Full alpha at each of two far looks, twice alpha in all, is rejected."""
    failed = failures(rng, bound, P[name], [Look(100, ALPHA), Look(N, ALPHA)])
    assert failed > LIMIT


def wrongly_hopeless(
    rng: np.random.Generator,
    p: tuple[float, ...],
    noise: Noise,
    target: float,
    bound: str,
    looks: Sequence[Look],
    betas: Sequence[float],
) -> int:
    """Trials in which class 0 is given up at some look."""
    given_up = np.zeros(TRIALS, dtype=np.bool_)
    for counts, beta in zip(votes_at(rng, p, looks), betas, strict=True):
        if beta == 0.0:
            continue
        top, most = counts[:, 0], counts[:, 1:].max(axis=1)
        pairs, places = np.unique(np.stack((top, most)), axis=1, return_inverse=True)
        n = int(counts[0].sum())
        decisions = []
        for top_votes, other_votes in pairs.T.tolist():
            votes = np.zeros(len(p), dtype=np.int64)
            votes[:2] = top_votes, other_votes
            if len(p) > 2:
                votes[2] = (
                    n - top_votes - other_votes
                )  # at most other_votes: with three classes this is exact
            decisions.append(
                hopeless(votes, 0, noise=noise, dimension=6, beta=beta, target=target, bound=bound)
            )
        given_up |= np.array(decisions)[places.reshape(-1)]
    return int(given_up.sum())


HOPEFUL = [
    ("one_sided", (0.501, 0.499)),
    ("one_sided", (0.8, 0.2)),
    ("one_sided", (0.501, 0.3, 0.199)),
    ("two_sided", (0.501, 0.499)),
    ("two_sided", (0.341, 0.33, 0.329)),
    ("two_sided", (0.6, 0.3, 0.1)),
]


def just_allowed(bound: str, p: tuple[float, ...], noise: Noise) -> float:
    """A hair less than the radius that the true probabilities allow; 0 near the tie."""
    p_other = 1 - p[0] if bound == "one_sided" else max(p[1:])
    radius = noise.own_radius(noise.radius(p[0], p_other, dimension=6))
    return 0.0 if p[0] - p_other < 0.02 else radius * (1 - 1e-9)


@pytest.mark.parametrize(("bound", "p"), HOPEFUL)
@pytest.mark.parametrize("noise", [Gaussian(0.5), Uniform(0.5)])
def test_hopeful_inputs_are_given_up_at_most_at_beta(
    rng: np.random.Generator, noise: Noise, bound: str, p: tuple[float, ...]
) -> None:
    """At any look of the growing schedule, where slightly less than the truth is asked for."""
    looks = look_schedule(2 * N, 0.001)
    target = just_allowed(bound, p, noise)
    failed = wrongly_hopeless(rng, p, noise, target, bound, looks, share_beta(looks, ALPHA))
    assert failed <= LIMIT


@pytest.mark.parametrize("p", [(0.501, 0.499), (0.8, 0.2), (0.501, 0.3, 0.199)])
def test_simulation_would_notice_giving_up_at_twice_beta(
    rng: np.random.Generator, p: tuple[float, ...]
) -> None:
    """Twice beta at one look, and full beta at each of two, are rejected."""
    noise = Gaussian(0.5)
    target = just_allowed("one_sided", p, noise)
    once, twice = [Look(N, 0.001)], [Look(100, 0.001), Look(N, 0.001)]
    for looks, betas in ((once, [2 * ALPHA]), (twice, [ALPHA, ALPHA])):
        failed = wrongly_hopeless(rng, p, noise, target, "one_sided", looks, betas)
        assert failed > LIMIT
