"""Every bound, schedule and test fails at most as often as it says: simulation of the votes.

Each simulation draws 20 000 sets of votes at alpha = 0.05 and rejects when more failed than a binomial with
that alpha exceeds with probability one in a million. That is sharp enough to notice an error of a factor two,
which is asserted too: the same bound at 2·alpha must be rejected.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from smoothing import BOUNDS, Look, look_schedule, split_alpha
from smoothing.predict import decide

TRIALS = 20_000
ALPHA = 0.05
N0 = 100
N = 1000
LIMIT = int(stats.binom.ppf(1 - 1e-6, TRIALS, ALPHA))

P = {
    "null": (0.5, 0.5),
    "near_null": (0.51, 0.49),
    "three": (0.6, 0.2, 0.2),
    "near_tie_of_three": (0.35, 0.33, 0.32),
    "scattered": (0.55, *[0.05] * 9),
    "confident": (0.99, 0.005, 0.005),
}
Counts = NDArray[np.int64]


@pytest.fixture
def rng() -> np.random.Generator:
    """The same votes in each run, so that no run fails by chance alone."""
    return np.random.default_rng(20190208)


def cumulative_votes(rng: np.random.Generator, p: tuple[float, ...], looks: tuple[Look, ...]) -> list[Counts]:
    """Votes ``(trials, k)`` at each look; later looks contain the earlier votes."""
    steps = np.diff([0, *(look.n for look in looks)])
    return list(np.cumsum([rng.multinomial(int(step), p, size=TRIALS) for step in steps], axis=0))


def wrong(
    bound: str, p: tuple[float, ...], selection: Counts, counts: Counts, alpha: float
) -> NDArray[np.bool_]:
    """In which trials the bound on the class chosen by the selection votes is wrong on either side."""
    top_class = selection.argmax(axis=1)

    @cache
    def fails(top: int, top_votes: int, other_votes: int, split: bool) -> bool:
        votes = np.array([top_votes, other_votes, int(counts[0].sum()) - top_votes - other_votes])
        selected = np.array([1, 1, 1 if split else 0])
        bounded = BOUNDS[bound](votes, 0, alpha, alpha_upper=split_alpha(selected, alpha))
        truly_other = max(q for label, q in enumerate(p) if label != top)
        return bounded.p_lower > p[top] or bounded.p_upper < truly_other

    rows = np.arange(len(counts))
    top_votes = counts[rows, top_class]
    others = counts.copy()
    others[rows, top_class] = -1
    split = np.count_nonzero(selection, axis=1) > 2
    columns = (top_class.tolist(), top_votes.tolist(), others.max(axis=1).tolist(), split.tolist())
    return np.array([fails(*row) for row in zip(*columns, strict=True)])


@pytest.mark.parametrize("p", P.values(), ids=P.keys())
@pytest.mark.parametrize("bound", BOUNDS)
def test_bound_fails_at_most_at_its_rate(rng: np.random.Generator, bound: str, p: tuple[float, ...]) -> None:
    """Over the registry, with the split of alpha chosen from the selection votes as certify does."""
    selection = rng.multinomial(N0, p, size=TRIALS)
    counts = rng.multinomial(N, p, size=TRIALS)
    assert np.sum(wrong(bound, p, selection, counts, ALPHA)) <= LIMIT


@pytest.mark.parametrize("name", ["null", "near_null", "three", "scattered"])
@pytest.mark.parametrize("bound", BOUNDS)
def test_simulation_would_notice_twice_the_failure_rate(
    rng: np.random.Generator, bound: str, name: str
) -> None:
    """The same bound computed at 2·alpha is rejected by the same limit."""
    selection = rng.multinomial(N0, P[name], size=TRIALS)
    counts = rng.multinomial(N, P[name], size=TRIALS)
    assert np.sum(wrong(bound, P[name], selection, counts, 2 * ALPHA)) > LIMIT


def any_look_wrong(
    rng: np.random.Generator, bound: str, p: tuple[float, ...], looks: tuple[Look, ...]
) -> int:
    """Trials in which some look's bound is wrong, and so the best of them may be."""
    selection = rng.multinomial(N0, p, size=TRIALS)
    votes = cumulative_votes(rng, p, looks)
    failures = [
        wrong(bound, p, selection, counts, look.alpha) for counts, look in zip(votes, looks, strict=True)
    ]
    return int(np.sum(np.any(failures, axis=0)))


@pytest.mark.parametrize("name", ["null", "near_null", "three", "scattered"])
@pytest.mark.parametrize("bound", BOUNDS)
def test_all_looks_together_fail_at_most_at_alpha(rng: np.random.Generator, bound: str, name: str) -> None:
    """The running maximum over a schedule is a certificate at alpha."""
    looks = look_schedule(2 * N, ALPHA)
    assert len(looks) == 5
    assert any_look_wrong(rng, bound, P[name], looks) <= LIMIT


@pytest.mark.parametrize("name", ["null", "three"])
def test_simulation_would_notice_looks_that_do_not_share_alpha(rng: np.random.Generator, name: str) -> None:
    """Looking several times at full alpha, the natural mistake, is rejected; so is a schedule of 2·alpha."""
    looks = look_schedule(2 * N, ALPHA)
    greedy = tuple(Look(look.n, ALPHA) for look in looks)
    assert any_look_wrong(rng, "one_sided", P[name], greedy) > LIMIT
    assert any_look_wrong(rng, "one_sided", P[name], look_schedule(2 * N, 2 * ALPHA)) > LIMIT


def wrong_predictions(rng: np.random.Generator, p: tuple[float, ...], n: int, alpha: float) -> int:
    """Trials in which a class that is not the most probable one was predicted; at a tie, any class."""
    best = max(p)
    right = [label for label, q in enumerate(p) if q == best] if p.count(best) == 1 else []

    @cache
    def fails(votes: tuple[int, ...]) -> bool:
        prediction = decide(np.array(votes), alpha)
        return not prediction.abstained and prediction.top_class not in right

    return sum(fails(tuple(row)) for row in rng.multinomial(n, p, size=TRIALS).tolist())


@pytest.mark.parametrize("p", [(0.5, 0.5), (0.51, 0.49), (0.34, 0.33, 0.33), (0.4, 0.4, 0.2)])
def test_prediction_is_wrong_at_most_at_its_rate(rng: np.random.Generator, p: tuple[float, ...]) -> None:
    """Predict abstains often enough, at ties and near them, also when the second place is contested."""
    assert wrong_predictions(rng, p, 100, ALPHA) <= LIMIT


def test_simulation_would_notice_predictions_at_twice_alpha(rng: np.random.Generator) -> None:
    """At a tie the test at 2·alpha is rejected."""
    assert wrong_predictions(rng, (0.5, 0.5), 1000, 2 * ALPHA) > LIMIT


def test_certified_radius_of_a_tie_is_a_failure(rng: np.random.Generator) -> None:
    """At p = (½, ½) anything certified is false, and it is rare; the bound is also not idle there."""
    counts = rng.multinomial(N, (0.5, 0.5), size=TRIALS)
    certify: Callable[[int], bool] = cache(
        lambda votes: BOUNDS["two_sided"](np.array([votes, N - votes]), 0, ALPHA, alpha_upper=0.0).certifies
    )
    certified = sum(certify(votes) for votes in counts[:, 0].tolist())
    assert 0.7 * ALPHA * TRIALS < certified <= LIMIT
