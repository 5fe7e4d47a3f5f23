"""T-Certify as published: each probability and the choice of the split derived a second way."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from smoothing import InvalidParameter
from smoothing.bounds import (
    Bound,
    lower_confidence_bound,
    one_sided,
    split_alpha,
    t_certify,
    two_sided,
    upper_confidence_bound,
)
from smoothing.bounds.t_certify import joint_upper_confidence_bound
from tests.properties import examples

GRID = [step / 10 for step in range(1, 11)]  # the paper's, α'/α
VOTES = [
    ([250, 200], 1000),
    ([250, 250, 250], 1000),
    ([10, 0, 0, 0], 1000),
    ([0, 0, 0], 100),
    ([1], 1000),
    ([50] * 9, 1000),
    ([40_000, 30_000, 3], 100_000),
    ([999, 1], 1000),
]
alphas = st.floats(1e-9, 0.4)


@st.composite
def votes(draw: st.DrawFn) -> np.ndarray:
    """Votes over 2 to 6 classes, at least one."""
    counts = draw(st.lists(st.integers(0, 5000), min_size=2, max_size=6).filter(any))
    return np.array(counts, dtype=np.int64)


def radius(bound: Bound) -> float:
    """The Gaussian radius at sigma = 1, 0 where nothing is certified."""
    if not bound.certifies:
        return 0.0
    return float(stats.norm.ppf(bound.p_lower) - stats.norm.ppf(bound.p_upper)) / 2.0


def tails(successes: list[int], trials: int, p: float) -> float:
    """Σ_j P(Bin(trials, p) ≤ successes_j), by SciPy's binomial distribution."""
    return float(np.sum(stats.binom.cdf(successes, trials, p)))


@pytest.mark.parametrize("alpha", [0.05, 0.001, 1e-6])
@pytest.mark.parametrize(("successes", "trials"), VOTES)
def test_joint_upper_bound_is_where_the_tails_sum_to_alpha(
    successes: list[int], trials: int, alpha: float
) -> None:
    """The paper's infimum: at the bound the sum is at most alpha, and a little below it is more."""
    p_upper = joint_upper_confidence_bound(np.array(successes), trials, alpha)
    assert tails(successes, trials, p_upper) <= alpha * (1 + 1e-11)  # SciPy's own error
    assert tails(successes, trials, p_upper * (1 - 1e-11)) > alpha


@pytest.mark.parametrize(
    ("successes", "trials", "alpha", "margin"),
    [
        ([25, 20, 5], 100, 0.001, 1e-11),
        ([3, 3, 0, 0], 1000, 0.001, 1e-11),
        ([0, 0], 100_000, 0.000_5, 1e-11),  # a few votes among millions: the brackets meet, 1 - p is rounded
        ([0], 1_004_222, 0.000_57, 1e-9),
        ([2, 2], 6_070_115, 1.165e-09, 1e-9),
        ([5, 5], 1_786_342, 0.226_668, 1e-9),
        ([5], 4_809_871, 1.27e-07, 1e-9),
        ([4, 1, 0], 9_434_553, 2.68e-09, 1e-9),
    ],
)
def test_slack_puts_the_joint_bound_on_the_safe_side(
    successes: list[int], trials: int, alpha: float, margin: float
) -> None:
    """Fifty digits: the float is strictly above the exact bound, by less than ``margin`` of it."""

    def exact(p: float) -> mpmath.mpf:
        with mpmath.workdps(50):
            q = mpmath.mpf(p)
            return mpmath.fsum(
                mpmath.binomial(trials, j) * q**j * (1 - q) ** (trials - j)
                for most in successes
                for j in range(most + 1)
            )

    p_upper = joint_upper_confidence_bound(np.array(successes), trials, alpha)
    assert exact(p_upper) < mpmath.mpf(alpha) < exact(p_upper * (1 - margin))


@given(
    successes=st.lists(st.integers(0, 300), min_size=1, max_size=8),
    rest=st.integers(1, 1000),
    alpha=alphas,
)
def test_joint_upper_bound_lies_between_the_largest_count_alone_and_bonferroni(
    successes: list[int], rest: int, alpha: float
) -> None:
    """At least Clopper–Pearson of the largest count at alpha, at most at alpha over the number of classes."""
    trials = sum(successes) + rest
    joint = joint_upper_confidence_bound(np.array(successes), trials, alpha)
    alone = upper_confidence_bound(max(successes), trials, alpha)
    bonferroni = upper_confidence_bound(max(successes), trials, alpha / len(successes))
    assert alone <= joint <= bonferroni * (1 + 1e-11)
    if len(successes) == 1:
        assert joint == alone


def test_joint_upper_bound_of_all_votes_is_one() -> None:
    """Nothing is known from above about a class that got every vote."""
    assert joint_upper_confidence_bound(np.array([7, 0]), 7, 0.001) == 1.0


@pytest.mark.parametrize(
    ("successes", "trials", "alpha", "message"),
    [
        ([], 10, 0.1, "'successes' must have shape"),
        ([-1, 3], 10, 0.1, "'successes' must be >= 0, got"),
        ([6, 5], 10, 0.1, "'successes' must sum to at most 10, got"),
        ([6, 4], 10, 0.0, "'alpha' must be in"),
        ([0, 0], 0, 0.1, "'trials' must be >= 1, got 0"),
    ],
)
def test_impossible_joint_votes_are_refused(
    successes: list[int], trials: int, alpha: float, message: str
) -> None:
    """The message names the argument and its value."""
    with pytest.raises(InvalidParameter, match=message):
        joint_upper_confidence_bound(np.array(successes, dtype=np.int64), trials, alpha)


@given(counts=votes(), alpha=alphas)
@examples(60)
def test_the_split_is_the_best_of_the_grid(counts: np.ndarray, alpha: float) -> None:
    """Every split of the paper's grid by its definition; the largest radius is the one returned."""
    n, others = int(counts.sum()), counts[1:]

    def at(share: float) -> float:
        p_lower = lower_confidence_bound(int(counts[0]), n, share * alpha)
        budget = alpha - share * alpha
        p_upper = joint_upper_confidence_bound(others, n, budget) if budget > 0 else 1.0 - p_lower
        gap = float(stats.norm.ppf(p_lower) - stats.norm.ppf(p_upper))
        return gap / 2.0 if p_lower > 0.5 else 0.0

    bound = t_certify(counts, 0, alpha)
    assert radius(bound) == pytest.approx(max(0.0, *map(at, GRID)), rel=1e-9, abs=1e-12)
    assert min(abs(bound.alpha_lower / alpha - share) for share in GRID) < 1e-9


@pytest.mark.parametrize(
    ("p", "expected"),
    # mean radius of one-sided, T-Certify and two-sided at alpha = 0.05, n = 1000, sigma = 1, from a simulation
    # by another program
    [
        ((0.6, 0.4), (0.186, 0.186, 0.184)),
        ((0.6, 0.2, 0.2), (0.185, 0.447, 0.440)),
        ((0.55, *[0.05] * 9), (0.062, 0.679, 0.723)),
    ],
)
def test_mean_radii_are_the_known_ones(p: tuple[float, ...], expected: tuple[float, ...]) -> None:
    """T-Certify gains where the others are scattered, and nothing with two classes."""
    counts = np.random.default_rng(7).multinomial(1000, p, size=1000)
    bounds = (one_sided, t_certify, two_sided)
    for bound, known in zip(bounds, expected, strict=True):
        radii = [radius(bound(row, 0, 0.05)) for row in counts]
        error = float(np.std(radii)) / math.sqrt(len(radii))
        assert np.mean(radii) == pytest.approx(known, abs=0.0005 + 4 * error)


@given(counts=votes(), alpha=alphas)
def test_never_below_the_one_sided_radius(counts: np.ndarray, alpha: float) -> None:
    """The last split of the grid is the one-sided bound; with two classes it is always chosen."""
    bound, single = t_certify(counts, 0, alpha), one_sided(counts, 0, alpha)
    assert radius(bound) >= radius(single)
    if len(counts) == 2:
        assert bound == single


def test_abstains_at_one_half_or_below_as_published() -> None:
    """Four votes in ten against scattered others: the two-sided bound certifies, T-Certify does not."""
    counts = np.array([400, *[60] * 10])
    assert two_sided(counts, 0, 0.001).certifies
    assert not t_certify(counts, 0, 0.001).certifies


@given(counts=votes(), alpha=alphas, data=st.data())
def test_radius_does_not_shrink_when_a_vote_moves_to_the_top_class(
    counts: np.ndarray, alpha: float, data: st.DataObject
) -> None:
    """At every split both bounds improve, so the best does."""
    others = [label for label in range(1, len(counts)) if counts[label] > 0]
    assume(others)
    better = counts.copy()
    better[0] += 1
    better[data.draw(st.sampled_from(others))] -= 1
    assert radius(t_certify(better, 0, alpha)) >= radius(t_certify(counts, 0, alpha)) * (1 - 1e-9)


def test_runner_up_is_the_largest_other_count() -> None:
    """As in the other bounds; None where no other class has a vote."""
    assert t_certify(np.array([5, 80, 15]), 1, 0.05).runner_up == 2
    assert t_certify(np.array([0, 80, 0]), 1, 0.05).runner_up is None


def test_given_split_is_ignored() -> None:
    """The common signature carries a split; the published bound searches for its own."""
    counts = np.array([600, 200, 200])
    given_split = split_alpha(np.array([60, 20, 20]), 0.05)
    assert t_certify(counts, 0, 0.05, alpha_upper=given_split) == t_certify(counts, 0, 0.05)
