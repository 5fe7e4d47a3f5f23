"""Confidence bounds, each derived a second way."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from service.verification.exact import tail_at_most
from smoothing import BOUNDS, InvalidParameter, perfect_vote_p_lower
from smoothing.bounds import (
    lower_confidence_bound,
    minimum_samples,
    one_sided,
    split_alpha,
    t_certify,
    two_sided,
    upper_confidence_bound,
)
from smoothing.bounds.clopper_pearson import SLACK

CASES = [
    (successes, trials, alpha)
    for trials in (1, 10, 1000, 100_000)
    for successes in sorted(
        {1, trials // 3 + 1, trials // 2 + 1, trials - trials // 100, max(1, trials - 1), trials}
    )
    for alpha in (0.05, 0.001, 1e-6)
]
alphas = st.floats(1e-9, 0.4)


@st.composite
def votes(draw: st.DrawFn) -> np.ndarray:
    """Votes over 2 to 6 classes, at least one."""
    counts = draw(st.lists(st.integers(0, 5000), min_size=2, max_size=6).filter(any))
    return np.array(counts, dtype=np.int64)


def exact_upper_tail(successes: int, trials: int, p: float) -> mpmath.mpf:
    """P(Bin(trials, p) ≥ successes), by summing whichever tail is shorter with 60 digits."""
    with mpmath.workdps(60):
        p = mpmath.mpf(p)

        def mass(j: int) -> mpmath.mpf:
            return mpmath.binomial(trials, j) * p**j * (1 - p) ** (trials - j)

        if trials - successes <= successes:
            return mpmath.fsum(mass(j) for j in range(successes, trials + 1))
        return 1 - mpmath.fsum(mass(j) for j in range(successes))


@pytest.mark.parametrize(("successes", "trials", "alpha"), CASES)
def test_lower_bound_is_the_inverse_of_the_binomial_tail(successes: int, trials: int, alpha: float) -> None:
    """At p_lower so many votes have probability alpha, and a little above it more (SciPy's binomial)."""
    p_lower = lower_confidence_bound(successes, trials, alpha)
    tail = stats.binom.sf(successes - 1, trials, p_lower)
    assert tail <= alpha
    assert stats.binom.sf(successes - 1, trials, p_lower * (1 + 1e-11)) > alpha


@pytest.mark.parametrize(("successes", "trials", "alpha"), CASES)
def test_upper_bound_is_the_inverse_of_the_binomial_tail(successes: int, trials: int, alpha: float) -> None:
    """At p_upper so few votes have probability alpha, and a little below it more (SciPy's binomial)."""
    p_upper = upper_confidence_bound(trials - successes, trials, alpha)
    assert stats.binom.cdf(trials - successes, trials, p_upper) <= alpha * (1 + 1e-11)  # SciPy's own error
    assert stats.binom.cdf(trials - successes, trials, p_upper * (1 - 1e-11)) > alpha


@pytest.mark.parametrize(
    ("successes", "trials", "alpha"),
    [
        (1, 1, 0.05),
        (6, 10, 0.001),
        (990, 1000, 0.001),
        (510, 1000, 0.05),
        (9_990, 10_000, 1e-6),
        (3, 100_000, 0.001),
    ],
)
def test_slack_puts_the_bound_on_the_safe_side_of_the_exact_one(
    successes: int, trials: int, alpha: float
) -> None:
    """Sixty-digit arithmetic: the float is strictly below the exact bound, by less than 1e-11 of it."""
    p_lower = lower_confidence_bound(successes, trials, alpha)
    assert exact_upper_tail(successes, trials, p_lower) < alpha
    assert exact_upper_tail(successes, trials, p_lower * (1 + 1e-11)) > alpha
    p_upper = upper_confidence_bound(successes - 1, trials, alpha)
    assert 1 - exact_upper_tail(successes, trials, p_upper) < alpha
    assert 1 - exact_upper_tail(successes, trials, p_upper * (1 - 1e-11)) > alpha


def assert_exact(successes: int, trials: int, alpha: float) -> None:
    """Safe and tight, by the sums with 160 bits that certificates are verified with."""
    p_lower = Fraction(lower_confidence_bound(successes, trials, alpha))
    assert tail_at_most(trials, successes, p_lower, alpha)
    assert not tail_at_most(trials, successes, p_lower * (1 + Fraction(1, 10**8)), alpha)
    p_upper = Fraction(upper_confidence_bound(trials - successes, trials, alpha))
    assert p_upper == 1 or tail_at_most(trials, successes, 1 - p_upper, alpha)
    less = p_upper * (1 - Fraction(1, 10**8)) - Fraction(1, 10**15)
    assert not tail_at_most(trials, successes, 1 - less, alpha)


@pytest.mark.parametrize(
    ("successes", "trials", "alpha"),
    [
        (1_889_455, 9_611_632, 0.005195487558311979),  # SciPy's inverse is 2.3e-12 too large
        (963_610, 5_373_565, 0.0006414687808409358),
        (655_944, 3_503_522, 0.011505937500018857),
        (3, 136, 3.2715e-200),  # there it is NaN
        (1, 100_000, 1e-200),
        (99_999, 100_000, 1e-200),
    ],
)
def test_bounds_hold_where_the_inverse_fails(successes: int, trials: int, alpha: float) -> None:
    """Large numbers of votes, and failure probabilities that nobody should need."""
    assert_exact(successes, trials, alpha)


@pytest.mark.parametrize(("most", "least"), [(0.1, 1e-4), (1e-4, 1e-20), (1e-20, 1e-100), (1e-100, 1e-200)])
def test_bounds_hold_exactly(most: float, least: float) -> None:
    """Up to ten million votes, at frequencies near 0, near 1 and between."""
    rng = np.random.default_rng(1)
    for _ in range(150):
        trials = int(10 ** rng.uniform(1, 7))
        share = rng.choice([rng.uniform(), 10 ** rng.uniform(-5, -1), 1 - 10 ** rng.uniform(-5, -1)])
        successes = min(trials - 1, max(1, round(trials * share)))
        assert_exact(successes, trials, float(10 ** rng.uniform(np.log10(least), np.log10(most))))


def test_an_alpha_too_small_to_be_split_is_spent_whole() -> None:
    """Or refused by its own number, not by that of a part."""
    counts = np.array([950, 30, 20])
    bound = two_sided(counts, 0, 1e-195)
    assert (bound.alpha_lower, bound.alpha_upper) == (1e-195, 0.0)
    assert split_alpha(counts, 1e-195) == 0.0
    for function in BOUNDS.values():
        with pytest.raises(InvalidParameter, match=r"'alpha' must be >= 1e-\d+ .*, got 1e-300"):
            function(counts, 0, 1e-300)


def test_bounds_match_clopper_and_pearson_of_r() -> None:
    """R: binom.test(990, 1000, conf.level = 0.998)$conf.int, the two-sided interval at 2·alpha."""
    interval = stats.binomtest(990, 1000).proportion_ci(0.998, method="exact")
    assert lower_confidence_bound(990, 1000, 0.001) == pytest.approx(interval.low, rel=1e-9)
    assert upper_confidence_bound(990, 1000, 0.001) == pytest.approx(interval.high, rel=1e-9)


def test_extreme_counts_give_trivial_bounds() -> None:
    """No vote proves nothing from below, all votes prove nothing from above."""
    assert lower_confidence_bound(0, 100, 0.001) == 0.0
    assert upper_confidence_bound(100, 100, 0.001) == 1.0
    assert 0.0 < upper_confidence_bound(0, 10**9, 0.001) < 1e-8
    assert lower_confidence_bound(10**9, 10**9, 0.001) < 1.0


@given(trials=st.integers(1, 100_000), data=st.data(), alpha=alphas)
def test_lower_bound_is_below_the_frequency_and_mirrors_the_upper(
    trials: int, data: st.DataObject, alpha: float
) -> None:
    """lower(k) < k/n < upper(k), and upper(k) is 1 − lower(n − k)."""
    successes = data.draw(st.integers(1, trials - 1)) if trials > 1 else 1
    lower = lower_confidence_bound(successes, trials, alpha)
    assert 0.0 <= lower < successes / trials
    mirrored = 1.0 - upper_confidence_bound(trials - successes, trials, alpha)
    assert mirrored == pytest.approx(lower, abs=1e-11)


@st.composite
def votes_but_one(draw: st.DrawFn) -> tuple[int, int]:
    """Votes for a class, of all that there are; one more would be possible."""
    trials = draw(st.integers(2, 10_000))
    return draw(st.integers(0, trials - 1)), trials


@example(votes=(999, 1000), alpha=1e-9)  # 1 - 1e-12, which the slack moves to 1
@given(votes=votes_but_one(), alpha=alphas)
def test_bounds_rise_with_votes_and_widen_with_certainty(votes: tuple[int, int], alpha: float) -> None:
    """One vote more raises both bounds, as far as there is room; a smaller alpha moves both outward."""
    successes, trials = votes
    assert lower_confidence_bound(successes, trials, alpha) < lower_confidence_bound(
        successes + 1, trials, alpha
    )
    upper = upper_confidence_bound(successes, trials, alpha)
    room = -math.expm1(math.log1p(-alpha) / trials)  # above the exact bound of all votes but one
    assert upper < upper_confidence_bound(successes + 1, trials, alpha) or upper == 1.0
    assert upper < 1.0 or (successes == trials - 1 and room < SLACK + 1e-15)
    assert lower_confidence_bound(successes, trials, alpha / 2) <= lower_confidence_bound(
        successes, trials, alpha
    )
    assert upper_confidence_bound(successes, trials, alpha / 2) >= upper_confidence_bound(
        successes, trials, alpha
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 10, 0.1), r"'successes' must be in 0\.\.10, got -1"),
        ((11, 10, 0.1), r"'successes' must be in 0\.\.10, got 11"),
        ((0, 0, 0.1), "'trials' must be >= 1, got 0"),
        ((1, 10, 0.0), r"'alpha' must be in \(0, 1\), got 0\.0"),
        ((1, 10, 1.0), r"'alpha' must be in \(0, 1\), got 1\.0"),
        ((1, 10, math.nan), "'alpha' must be"),
        ((1, 10, 9e-201), "'alpha' must be >= 1e-200 to be computed with, got 9e-201"),
        ((9990, 10_000, 1e-300), "'alpha' must be >= 1e-200"),
    ],
)
def test_bad_arguments_are_named(arguments: tuple[int, int, float], message: str) -> None:
    """The message says which rule was broken and by what."""
    for bound in (lower_confidence_bound, upper_confidence_bound):
        with pytest.raises(InvalidParameter, match=message):
            bound(*arguments)


@given(counts=votes(), alpha=alphas, data=st.data())
def test_every_bound_is_ordered_and_spends_no_more_than_alpha(
    counts: np.ndarray, alpha: float, data: st.DataObject
) -> None:
    """Over the registry: p_upper <= 1 − p_lower, and the parts of alpha never add up to more."""
    top_class = data.draw(st.integers(0, len(counts) - 1))
    for function in BOUNDS.values():
        bound = function(counts, top_class, alpha)
        assert 0.0 <= bound.p_lower < 1.0
        assert 0.0 < bound.p_upper <= 1.0 - bound.p_lower
        assert bound.alpha_lower + bound.alpha_upper <= alpha
        assert bound.alpha_lower + bound.alpha_upper == pytest.approx(alpha, rel=1e-12)
        assert bound.top_class == top_class
        assert bound.certifies == (bound.p_lower > bound.p_upper)


@given(counts=votes(), alpha=alphas, data=st.data())
def test_sided_bounds_improve_when_a_vote_moves_to_the_top_class(
    counts: np.ndarray, alpha: float, data: st.DataObject
) -> None:
    """With a split that does not depend on these votes, p_lower rises and p_upper does not."""
    top_class = data.draw(st.integers(0, len(counts) - 1))
    others = [label for label, count in enumerate(counts) if label != top_class and count > 0]
    if not others:
        return
    better = counts.copy()
    better[top_class] += 1
    better[data.draw(st.sampled_from(others))] -= 1
    for function in (one_sided, two_sided):
        before, after = function(counts, top_class, alpha), function(better, top_class, alpha)
        assert after.p_lower > before.p_lower
        assert after.p_upper <= before.p_upper


@given(counts=votes(), alpha=alphas)
def test_two_sided_with_nothing_spent_above_is_one_sided(counts: np.ndarray, alpha: float) -> None:
    """alpha_upper = 0 is the paper's bound."""
    assert two_sided(counts, 0, alpha, alpha_upper=0.0) == one_sided(counts, 0, alpha)


def test_bounds_share_one_call_signature() -> None:
    """Every entry takes ``alpha_upper``; one-sided spends nothing above, T-Certify chooses for itself."""
    counts = np.array([700, 200, 100])
    spent = {
        name: function(counts, 0, 0.01, alpha_upper=0.002).alpha_upper for name, function in BOUNDS.items()
    }
    assert spent.pop("t_certify") == t_certify(counts, 0, 0.01).alpha_upper
    assert spent == {"one_sided": 0.0, "two_sided": 0.002}


@pytest.mark.parametrize("name", BOUNDS)
def test_alpha_and_counts_are_checked_by_every_bound(name: str) -> None:
    """Over the registry: the same refusals, whichever bound is asked for."""
    with pytest.raises(InvalidParameter, match="'counts' must hold at least one vote"):
        BOUNDS[name](np.array([0, 0]), 0, 0.05)
    with pytest.raises(InvalidParameter, match=r"'top_class' must be in 0\.\.1, got 2"):
        BOUNDS[name](np.array([5, 5]), 2, 0.05)
    with pytest.raises(InvalidParameter, match=r"'alpha' must be in \(0, 1\), got 1\.0"):
        BOUNDS[name](np.array([5, 5]), 0, 1.0)


def test_two_sided_certifies_below_one_half() -> None:
    """Four votes in ten are enough when the rest is scattered."""
    bound = two_sided(np.array([400, *[60] * 10]), 0, 0.001)
    assert bound.p_lower < 0.5
    assert bound.certifies
    assert bound.p_upper == upper_confidence_bound(60, 1000, bound.alpha_upper)


def test_runner_up_is_the_largest_other_count() -> None:
    """It is another class, also when the top class has fewer votes, and None when no other class has any."""
    assert two_sided(np.array([5, 80, 15]), 1, 0.05).runner_up == 2
    assert two_sided(np.array([5, 80, 15]), 2, 0.05).runner_up == 1
    assert two_sided(np.array([0, 80, 0]), 1, 0.05).runner_up is None
    assert not two_sided(np.array([0, 80, 0]), 0, 0.05).certifies


@pytest.mark.parametrize(
    ("counts", "top_class", "alpha_upper", "message"),
    [
        ([5, 5], 2, None, "'top_class' must be in 0..1, got 2"),
        ([5, 5], -1, None, "'top_class' must be in 0..1, got -1"),
        ([5], 0, None, "'counts' must have shape"),
        ([[5, 5]], 0, None, "'counts' must have shape"),
        ([5.0, 5.0], 0, None, "'counts' must be integers"),
        ([5, -1], 0, None, "'counts' must be >= 0"),
        ([0, 0], 0, None, "'counts' must hold at least one vote"),
        ([5, 5], 0, 0.05, "'alpha_upper' must be in"),
        ([5, 5], 0, -0.01, "'alpha_upper' must be in"),
    ],
)
def test_impossible_votes_are_refused(
    counts: list[int], top_class: int, alpha_upper: float | None, message: str
) -> None:
    """Nothing is certified from what cannot be votes."""
    with pytest.raises(InvalidParameter, match=message):
        two_sided(np.array(counts), top_class, 0.05, alpha_upper=alpha_upper)


def test_alpha_is_split_only_where_a_third_class_shows() -> None:
    """Two classes need no upper bound of their own."""
    assert split_alpha(np.array([100, 0, 0]), 0.001) == 0.0
    assert split_alpha(np.array([1, 99, 0]), 0.001) == 0.0
    assert split_alpha(np.array([1, 98, 1]), 0.001) == pytest.approx(0.0001)


@pytest.mark.parametrize(
    ("alpha", "least"),
    [
        (0.001, 10),
        (0.0005, 11),
        (0.05, 5),
        (0.5, 2),
        (0.9, 1),
        (2.0**-10, 11),
        (2.0**-10 * (1 + 1e-10), 10),
        (2.0**-50, 51),
    ],
)
def test_minimum_samples_known_values(alpha: float, least: int) -> None:
    """⌈ln alpha / ln ½⌉, and one more at powers of one half, where p_lower would be ½ exactly."""
    assert minimum_samples(alpha) == least


@given(alpha=st.floats(1e-200, 0.999))
def test_minimum_samples_is_least(alpha: float) -> None:
    """So many unanimous votes certify, one fewer do not."""
    n = minimum_samples(alpha)
    assert perfect_vote_p_lower(n, alpha) > 0.5
    assert n == 1 or perfect_vote_p_lower(n - 1, alpha) <= 0.5


@pytest.mark.parametrize(
    ("n", "alpha", "radius"),
    # Φ⁻¹(alpha^(1/n)), the largest radius at sigma = 1, in R: qnorm(0.001^(1/1000)) and so on
    [(100, 0.001, 1.5005), (1000, 0.001, 2.4633), (10_000, 0.001, 3.1986), (100_000, 0.001, 3.8115)],
)
def test_perfect_votes_prove_the_known_radius(n: int, alpha: float, radius: float) -> None:
    """The cap on the radius that n votes can give."""
    assert stats.norm.ppf(perfect_vote_p_lower(n, alpha)) == pytest.approx(radius, abs=5e-5)
    assert perfect_vote_p_lower(n, alpha) == lower_confidence_bound(n, n, alpha)
