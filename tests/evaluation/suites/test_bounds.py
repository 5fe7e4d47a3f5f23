"""Bounds are compared on the same votes."""

import pytest
from scipy.stats import beta, norm

from evaluation.suites.bounds import certified_radius
from evaluation.suites.registry import SUITES
from evaluation.suites.suite import Bench


def test_bounds_are_compared_on_the_same_votes(bench: Bench) -> None:
    """A line per bound; T-Certify tries the one-sided bound, too, so it is never smaller."""
    suite = SUITES["bounds"]
    rows = [cell.measure() for cell in suite.cells(bench)]
    assert all(sum(row["counts"]) == 300 and sum(row["selection_counts"]) == 20 for row in rows)
    outcome = suite.outcome(bench.plan, rows)
    ((run, index, *_), *_) = outcome.details[0].rows
    assert (run, index) == ("small, adapted, σ = 0.25", 0)
    for _, _, one_sided, _, t_certify in outcome.details[0].rows:
        assert float(str(t_certify)) >= float(str(one_sided))
    assert [row[1] for row in outcome.tables[0].rows] == ["one_sided", "two_sided", "t_certify"]


VOTES = {"run": "r", "sigma": 1.0, "dimension": 144, "label": 0, "top_class": 0}


@pytest.mark.parametrize(
    ("selection", "counts", "order"),
    [
        # Many small others: a bound of the runner-up's own is far below 1 − p_lower.
        ([55, *[5] * 9], [550, *[50] * 9], ("one_sided", "t_certify", "two_sided")),
        # Below one half: T-Certify abstains there, by its authors' rule.
        ([45, 20, *[5] * 7, 0], [450, 200, *[50] * 7, 0], ("one_sided", "t_certify", "two_sided")),
    ],
)
def test_the_largest_radius_is_that_of_the_tightest_bound(
    selection: list[int], counts: list[int], order: tuple[str, ...]
) -> None:
    row = {**VOTES, "selection_counts": selection, "counts": counts}
    found = {name: certified_radius(row, name, 0.05) for name in order}
    assert sorted(found, key=lambda name: found[name]) == list(order)
    assert found["two_sided"] > 0
    assert found["one_sided"] == pytest.approx(
        max(0.0, norm.ppf(beta.ppf(0.05, counts[0], 1001 - counts[0]))), abs=2e-6
    )
    assert certified_radius({**row, "label": 1}, "two_sided", 0.05) == 0.0


def test_two_classes_are_bounded_alike_by_both_sides() -> None:
    """Selection votes for two classes only: all of α goes to p_lower, and two_sided is one_sided."""
    row = {**VOTES, "selection_counts": [80, 20], "counts": [800, 200]}
    assert certified_radius(row, "two_sided", 0.05) == certified_radius(row, "one_sided", 0.05) > 0
