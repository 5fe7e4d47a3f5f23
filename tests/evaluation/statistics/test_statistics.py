"""Metrics of certificates, against numbers worked out by hand."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binom

from evaluation.plan import RADII
from evaluation.statistics.curves import Run, at_equal_accuracy, envelope
from evaluation.statistics.intervals import (
    clopper_pearson_interval,
    guaranteed_accuracy,
    mean_interval,
    paired_proportions_interval,
)
from evaluation.statistics.metrics import (
    abstention_rate,
    average_certified_radius,
    base_accuracy,
    certified_accuracy,
    p_lower_histogram,
)
from tests.evaluation.records import FOUR, record


def test_certified_accuracy_counts_a_radius_that_is_reached_exactly() -> None:
    """R ≥ r, as the papers count. Of four: radii 1 and 0.25 are right, one is wrong, one abstains."""
    assert [certified_accuracy(FOUR, radius) for radius in (0, 0.25, 0.26, 1.0, 1.01)] == [
        0.5, 0.5, 0.25, 0.25, 0.0,
    ]  # fmt: skip
    assert certified_accuracy(FOUR, 0.3, "linf") == 0.25


def test_an_average_radius_is_zero_for_wrong_answers_and_abstentions() -> None:
    """(1 + 0.25 + 0 + 0) / 4."""
    assert average_certified_radius(FOUR) == 0.3125
    assert average_certified_radius(FOUR, "linf") == 0.15625
    assert abstention_rate(FOUR) == 0.25
    assert base_accuracy(FOUR) == 1.0


def test_the_radii_of_the_papers_are_quarters_up_to_three() -> None:
    assert RADII[0] == 0.0
    assert RADII[-1] == 3.0
    assert len(RADII) == 13


def test_a_histogram_of_bounds_counts_every_image_once() -> None:
    """Four bins: 0.4 in the second, 0.7 in the third, 0.9 and 0.97 in the last, of which one is right."""
    bins = p_lower_histogram(FOUR, "gaussian", bins=4)
    assert [line[2:] for line in bins] == [(0, 0), (1, 0), (1, 1), (2, 1)]
    assert p_lower_histogram(FOUR, "uniform", bins=4)[3][2:] == (0, 0)


def test_the_interval_is_that_of_clopper_and_pearson() -> None:
    """Its ends are where the binomial tails are 2.5 %: the definition, checked against SciPy's binomial."""
    low, high = clopper_pearson_interval(7, 20)
    assert binom.sf(6, 20, low) == pytest.approx(0.025)
    assert binom.cdf(7, 20, high) == pytest.approx(0.025)


def test_the_guaranteed_accuracy_is_the_paper_s_formula() -> None:
    """0.8 − 0.001 − sqrt(2·0.001·0.999·ln 1000/500) − ln 1000/1500."""
    surprise = math.log(1000)
    expected = 0.8 - 0.001 - math.sqrt(2 * 0.001 * 0.999 * surprise / 500) - surprise / 1500
    assert guaranteed_accuracy(0.8, 500, 0.001, 0.001) == pytest.approx(expected)
    assert guaranteed_accuracy(0.005, 10, 0.1, 0.001) == 0.0


@pytest.mark.parametrize("alpha", [0.0005, 0.001, 0.01, 0.05, 0.1])
@pytest.mark.parametrize("images", [10, 50, 150, 500, 1000, 10_000])
@pytest.mark.parametrize("rho", [0.001, 0.01, 0.1])
def test_the_guarantee_fails_no_more_often_than_it_says(alpha: float, images: int, rho: float) -> None:
    """Exactly: the chance that more certificates are wrong than it allows for is at most rho."""
    allowed = 1.0 - guaranteed_accuracy(1.0, images, alpha, rho)
    assert binom.sf(math.floor(allowed * images + 1e-9), images, alpha) <= rho


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says() -> None:
    """Radii of half the images are 0, the others' are spread: 2 000 test sets of 100, 95 % of them cover."""
    rng = np.random.default_rng(0)
    radii = rng.uniform(0, 2, (2000, 100)) * rng.integers(0, 2, (2000, 100))
    ends = [mean_interval(row) for row in radii.tolist()]
    covered = sum(low <= 0.5 <= high for low, high in ends)
    assert binom.cdf(covered, 2000, 0.95) > 1e-4
    assert binom.sf(covered - 1, 2000, 0.96) > 1e-4
    low, high = ends[0]
    assert (low + high) / 2 == pytest.approx(radii[0].mean())
    wider = mean_interval(radii[0].tolist(), 0.99)
    assert wider[0] < low < high < wider[1]


@pytest.mark.parametrize(("gained", "lost"), [(3, 1), (0, 2), (0, 0), (12, 12)])
def test_the_interval_of_a_paired_difference_is_where_the_score_test_rejects(gained: int, lost: int) -> None:
    """By the definition: the likeliest shares at that difference, found by search, give a score of 1.96."""
    images = 40
    for difference in paired_proportions_interval(gained, lost, images):

        def surprise(share: float, difference: float = difference) -> float:
            counts = (gained, lost, images - gained - lost)
            shares = (share + difference, share, 1 - 2 * share - difference)
            return -sum(
                count * math.log(max(part, 1e-300)) for count, part in zip(counts, shares, strict=True)
            )

        bounds = (max(0.0, -difference), (1 - difference) / 2)
        share = minimize_scalar(surprise, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
        spread = math.sqrt(images * (2 * share + difference - difference**2))
        assert abs(gained - lost - images * difference) / spread == pytest.approx(1.959964, rel=1e-3)


@pytest.mark.parametrize(("gains", "losses"), [(0.0, 0.02), (0.005, 0.025), (0.01, 0.01), (0.1, 0.15)])
def test_the_interval_of_a_paired_difference_covers_it(gains: float, losses: float) -> None:
    """Exactly, over all outcomes of 120 images; the score test is not exact, so 93.5 % is enough."""
    images, covered = 120, 0.0
    for gained in range(images + 1):
        for lost in range(images + 1 - gained):
            chance = binom.pmf(gained, images, gains) * binom.pmf(lost, images - gained, losses / (1 - gains))
            if chance > 1e-7:
                low, high = paired_proportions_interval(gained, lost, images)
                covered += chance * (low <= gains - losses <= high)
    assert covered > 0.935


@pytest.mark.parametrize("gained", [0, 1, 3])
def test_an_image_more_that_differs_never_narrows_the_interval(gained: int) -> None:
    widths = [
        high - low
        for low, high in (paired_proportions_interval(gained, lost, 200) for lost in range(gained, 9))
    ]
    assert widths == sorted(widths)


def test_intervals_end_where_differences_do() -> None:
    assert paired_proportions_interval(5, 0, 5)[1] == -paired_proportions_interval(0, 5, 5)[0] == 1.0


def run_of(sigma: float, right: int, radius: float, scheme: str = "a") -> Run:
    """Ten images, so many of them right, each with the same radius."""
    records = tuple(
        record(index, predicted=0 if index < right else 1, radius=radius, sigma=sigma) for index in range(10)
    )
    return Run(f"{scheme} {sigma:g}", scheme, sigma, records)


def test_the_envelope_takes_the_best_run_at_each_radius() -> None:
    """A small σ is right more often, a large one certifies further."""
    points = envelope([run_of(0.25, 9, 0.5), run_of(1.0, 5, 2.0)], (0.0, 0.5, 1.0, 3.0))
    assert [(point.accuracy, point.run) for point in points] == [
        (0.9, "a 0.25"), (0.9, "a 0.25"), (0.5, "a 1"), (0.0, "a 0.25"),
    ]  # fmt: skip


def test_schemes_are_compared_at_equal_clean_accuracy() -> None:
    """Clean 0.9 with ACR 0.9·0.5 and clean 0.5 with ACR 0.5·2: at 0.7 half way between 0.45 and 1."""
    points = at_equal_accuracy([run_of(0.25, 9, 0.5), run_of(1.0, 5, 2.0)], (0.4, 0.5, 0.7, 0.8))
    assert [point.interpolated for point in points] == [
        None,
        1.0,
        pytest.approx(0.725),
        pytest.approx(0.5875),
    ]
    assert [point.nearest for point in points] == ["a 1", "a 1", "a 1", "a 0.25"]
    assert points[3].accuracy == 0.9
    assert points[3].radius == pytest.approx(0.45)


def test_of_runs_with_equal_clean_accuracy_the_larger_radius_counts() -> None:
    points = at_equal_accuracy([run_of(0.25, 8, 0.5), run_of(0.5, 8, 1.0)], (0.8,))
    assert points[0].interpolated == pytest.approx(0.8)
    assert points[0].nearest == "a 0.5"
