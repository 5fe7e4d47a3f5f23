"""Giving up: what is hopeless, what is out of reach, and how often it is wrong."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from smoothing import BOUNDS, NOISES, Gaussian, InvalidParameter, Look
from smoothing.bounds import Counts
from smoothing.stopping import look_schedule, target_schedule
from smoothing.stopping.giving_up import hopeless, out_of_reach, share_beta

GAUSSIAN = Gaussian(0.5)


def is_hopeless(votes: list[int], **changes: Any) -> bool:
    arguments = {"noise": GAUSSIAN, "dimension": 6, "beta": 0.001, "bound": "two_sided", **changes}
    return hopeless(np.array(votes), 0, **arguments)


def radius_at(bound: str = "two_sided", noise: Any = GAUSSIAN) -> Any:
    def at(counts: Counts, look: Look) -> float:
        bounded = BOUNDS[bound](counts, 0, look.alpha)
        return noise.own_radius(noise.radius(bounded.p_lower, bounded.p_upper, dimension=6))

    return at


def test_two_classes_are_hopeless_from_the_binomial_limit_on() -> None:
    """P(Bin(1000, ½) <= 451) = 0.0011, P(... <= 450) = 0.0009 (SciPy): all of beta is on the top class."""
    assert stats.binom.cdf(451, 1000, 0.5) > 0.001 > stats.binom.cdf(450, 1000, 0.5)
    for bound in ("one_sided", "two_sided"):
        assert not is_hopeless([451, 549], bound=bound)
        assert is_hopeless([450, 550], bound=bound)


def test_class_without_majority_is_hopeless_to_the_one_sided_bound_only() -> None:
    """Four in ten against nine scattered classes certifies with the two-sided bound."""
    votes = [400, *[66] * 8, 72]
    assert is_hopeless(votes, bound="one_sided")
    assert not is_hopeless(votes, bound="two_sided")
    assert not is_hopeless(votes, bound="t_certify")


def test_clear_runner_up_is_hopeless_to_the_two_sided_bound() -> None:
    """Another class leads, while neither has a majority."""
    assert is_hopeless([300, 450, 250])
    assert not is_hopeless([300, 370, 330])


def test_scattered_classes_bound_the_largest_by_their_mean() -> None:
    """One vote for each of 20 classes says nothing about any single one, but all of them share 0.68."""
    votes = [0, *[1] * 20]
    p_top = 1 - 0.0005 ** (1 / 20)  # Clopper–Pearson at half of beta
    at_most = 0.25 * (stats.norm.ppf(p_top) - stats.norm.ppf((1 - p_top) / 20))
    assert not is_hopeless(votes, target=0.999 * at_most)
    assert is_hopeless(votes, target=1.001 * at_most)


@pytest.mark.parametrize("noise", NOISES)
def test_target_is_in_the_noises_own_norm(noise: str) -> None:
    """True p = 0.8 allows its own radius: much less is possible, much more is hopeless."""
    made = NOISES[noise](0.5)
    truth = made.own_radius(made.radius(0.8, 0.2, dimension=6))
    assert not is_hopeless([8000, 2000], noise=made, target=0.95 * truth)
    assert is_hopeless([8000, 2000], noise=made, target=1.1 * truth)


def test_unanimous_votes_are_never_hopeless() -> None:
    """No number of them bounds the probability from above."""
    assert not is_hopeless([10**6, 0], target=1e9)


@given(votes=st.lists(st.integers(0, 500), min_size=2, max_size=5), data=st.data())
def test_hopeless_means_that_no_bound_certifies(votes: list[int], data: st.DataObject) -> None:
    """What the true probabilities cannot allow, the votes do not prove either (at usual alpha and beta)."""
    votes[0] += 1
    target = data.draw(st.floats(0.0, 2.0))
    bound = data.draw(st.sampled_from(["one_sided", "two_sided"]))
    if is_hopeless(votes, target=target, bound=bound):
        assert radius_at(bound)(np.array(votes), Look(sum(votes), 0.001)) <= target


@given(
    top=st.integers(0, 300),
    other=st.integers(1, 300),
    more=st.lists(st.integers(1, 300), min_size=1, max_size=3),
    target=st.floats(0.0, 1.5),
    bound=st.sampled_from(["one_sided", "two_sided"]),
    data=st.data(),
)
def test_out_of_reach_is_certain(
    top: int, other: int, more: list[int], target: float, bound: str, data: st.DataObject
) -> None:
    """Whatever the remaining votes are, no remaining look certifies the target; and if not, one can."""
    counts = np.array([top, other, 3])
    ends = np.cumsum([int(counts.sum()), *more]).tolist()[1:]
    looks = [Look(n, data.draw(st.sampled_from([1e-4, 1e-3]))) for n in ends]
    at = radius_at(bound)
    perfect = [at(counts + np.array([look.n - counts.sum(), 0, 0]), look) for look in looks]
    reachable = any(radius >= target and radius > 0.0 for radius in perfect)
    assert out_of_reach(counts, 0, looks, radius_at=at, target=target) is not reachable
    if not reachable:
        for look in looks:
            left = look.n - int(counts.sum())
            for_top = data.draw(st.integers(0, left))
            radius = at(counts + np.array([for_top, left - for_top, 0]), look)
            assert radius < target or radius == 0.0


def test_without_looks_left_everything_is_out_of_reach() -> None:
    assert out_of_reach(np.array([10, 0]), 0, [], radius_at=radius_at())


@given(n=st.integers(1, 200_000), beta=st.floats(0.0, 0.5))
@pytest.mark.parametrize("schedule", [look_schedule, target_schedule])
def test_looks_share_beta(schedule: Any, n: int, beta: float) -> None:
    """Sum at most beta, nearly all of it spent, nothing at the last look."""
    looks = schedule(n, 0.001)
    shares = share_beta(looks, beta)
    assert len(shares) == len(looks)
    assert shares[-1] == 0.0
    assert sum(map(Fraction, shares)) <= Fraction(beta)
    if len(looks) > 1 and beta > 1e-190:  # the smallest floats have few digits left to be shared
        assert sum(shares) == pytest.approx(beta, rel=1e-9)


def test_bad_arguments_of_giving_up_are_named() -> None:
    with pytest.raises(InvalidParameter, match="'target' must be >= 0, got -1"):
        is_hopeless([1, 2], target=-1)
    with pytest.raises(InvalidParameter, match="'alpha' must be in"):
        is_hopeless([1, 2], beta=0.0)
    with pytest.raises(InvalidParameter, match=r"'beta' must be in \[0, 1\), got 1.0"):
        share_beta([Look(10, 0.1)], 1.0)
