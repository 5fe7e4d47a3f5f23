"""Schedules of looks."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from smoothing import InvalidParameter, Look, look_schedule, perfect_vote_p_lower
from smoothing.bounds import lower_confidence_bound, minimum_samples
from smoothing.stopping import target_schedule

alphas = st.floats(1e-12, 0.49)
sizes = st.integers(1, 1_000_000)


@given(n=sizes, alpha=alphas)
def test_looks_rise_to_n_and_spend_at_most_alpha(n: int, alpha: float) -> None:
    """The sum of the alphas is at most alpha, exactly and in every float order."""
    looks = look_schedule(n, alpha)
    votes = [look.n for look in looks]
    assert votes == sorted(set(votes))
    assert votes[-1] == n
    assert sum(Fraction(look.alpha) for look in looks) <= Fraction(alpha)
    assert sum(look.alpha for look in looks) <= alpha
    assert sum(look.alpha for look in reversed(looks)) <= alpha
    assert sum(look.alpha for look in looks) >= alpha * (1 - 1e-9)


@given(n=sizes, alpha=alphas)
def test_no_look_is_hopeless_or_too_early(n: int, alpha: float) -> None:
    """Unanimous votes would certify at every look of a split schedule, and none comes before 100 votes."""
    looks = look_schedule(n, alpha)
    if len(looks) > 1:
        assert all(look.n >= minimum_samples(look.alpha) for look in looks)
        assert all(look.n >= 100 for look in looks)


def test_votes_double_and_most_of_alpha_is_kept_for_the_end() -> None:
    """Each look has about twice the votes of the one before; the earlier ones share a fifth of alpha."""
    looks = look_schedule(100_000, 0.001)
    assert [look.n for look in looks] == [196, 391, 782, 1563, 3125, 6250, 12500, 25000, 50000, 100000]
    assert looks[-1].alpha == 0.0008
    assert {look.alpha for look in looks[:-1]} == {looks[0].alpha}
    assert looks[0].alpha == pytest.approx(0.0002 / 9)


def test_last_look_loses_a_quarter_of_a_per_cent_of_the_best_radius() -> None:
    """3.804σ instead of 3.812σ at n = 100 000."""
    whole = stats.norm.ppf(perfect_vote_p_lower(100_000, 0.001))
    last = stats.norm.ppf(perfect_vote_p_lower(100_000, look_schedule(100_000, 0.001)[-1].alpha))
    assert whole == pytest.approx(3.8115, abs=5e-5)
    assert last == pytest.approx(3.8036, abs=5e-5)
    assert last > 0.9975 * whole


@pytest.mark.parametrize("n", [10, 100, 999])
def test_short_runs_are_not_split(n: int) -> None:
    """Below 1000 votes there is one look with all of alpha."""
    assert look_schedule(n, 0.001) == (Look(n, 0.001),)


def test_hopeless_looks_are_left_out() -> None:
    """At alpha = 1e-60 it takes 200 unanimous votes; earlier looks would waste alpha."""
    looks = look_schedule(1000, 1e-60)
    assert looks[0].n >= minimum_samples(looks[0].alpha) > 200
    for alpha in (1e-195, 1e-300, 1e-315, 5e-324):
        assert look_schedule(10_000, alpha) == (Look(10_000, alpha),)


@pytest.mark.parametrize(
    ("n", "alpha", "message"),
    [
        (0, 0.1, "'n' must be >= 1, got 0"),
        (5000, 0.0, "'alpha' must be"),
        (5000, 1.0, "'alpha' must be"),
    ],
)
def test_bad_arguments_are_named(n: int, alpha: float, message: str) -> None:
    """The message says which rule was broken."""
    with pytest.raises(InvalidParameter, match=message):
        look_schedule(n, alpha)


@given(n=sizes, alpha=st.one_of(alphas, st.floats(min_value=5e-324, max_value=1e-280)))
def test_looks_for_a_target_rise_to_n_and_spend_at_most_alpha(n: int, alpha: float) -> None:
    """In every float order, with the rest of the series at the last look; all looks could certify."""
    looks = target_schedule(n, alpha)
    votes = [look.n for look in looks]
    assert votes == sorted(set(votes))
    assert votes[-1] == n
    assert sum(Fraction(look.alpha) for look in looks) <= Fraction(alpha)
    assert sum(look.alpha for look in looks) <= alpha
    assert sum(look.alpha for look in reversed(looks)) <= alpha
    assert sum(look.alpha for look in looks) >= alpha * (1 - 1e-9)
    if len(looks) > 1:
        assert all(look.n >= minimum_samples(look.alpha) for look in looks)


@given(n=sizes, alpha=alphas)
def test_looks_for_a_target_are_a_fifth_and_32_votes_apart(n: int, alpha: float) -> None:
    """Close enough to stop soon, far enough apart to fill a batch; the last step may be two in one."""
    votes = [look.n for look in target_schedule(n, alpha)]
    for before, after in pairwise(votes):
        assert after - before >= 32
        assert after >= 1.2 * before
        assert after <= max(before + 32, 1.2 * before + 1) * 1.2 + 33


def test_series_of_the_target_schedule() -> None:
    """5 alpha / ((j + 4)(j + 5)), and 5 alpha / (J + 5) at the end after J looks."""
    looks = target_schedule(100_000, 0.001)
    assert len(looks) == 40
    assert [look.alpha for look in looks[:3]] == pytest.approx([0.001 / 6, 0.005 / 42, 0.005 / 56])
    assert looks[-1].alpha == pytest.approx(0.005 / 44)


@pytest.mark.parametrize(("sigmas", "ideal", "needed"), [(1, 40, 64), (2, 301, 482), (3, 5114, 10_921)])
def test_perfect_votes_decide_early(sigmas: int, ideal: int, needed: int) -> None:
    """Votes to the first look that certifies so many sigma, beside one look at full alpha at the best time."""
    p = stats.norm.cdf(sigmas)
    assert next(n for n in range(1, 10_000) if perfect_vote_p_lower(n, 0.001) >= p) == pytest.approx(
        ideal, abs=1
    )
    looks = target_schedule(100_000, 0.001)
    assert next(look.n for look in looks if perfect_vote_p_lower(look.n, look.alpha) >= p) <= needed


@pytest.mark.parametrize("n", [10_000, 100_000])
@pytest.mark.parametrize("p", [0.7, 0.8, 0.95, 0.999, 1.0])
def test_growing_certificate_ends_within_one_per_cent_of_the_single_look(n: int, p: float) -> None:
    """Half of alpha instead of all of it, on the expected votes: more is lost only near the tie."""
    votes = round(n * p)
    whole, last = (
        stats.norm.ppf(lower_confidence_bound(votes, n, looks[-1].alpha))
        for looks in ((Look(n, 0.001),), look_schedule(n, 0.001))
    )
    assert last > 0.99 * whole


def test_short_or_tiny_targets_get_one_look() -> None:
    """Where there is nothing to split."""
    assert target_schedule(63, 0.001) == (Look(63, 0.001),)
    assert [look.n for look in target_schedule(64, 0.001)] == [32, 64]
    assert target_schedule(5000, 1e-300) == (Look(5000, 1e-300),)
