"""What holds of every suite."""

import dataclasses

import pytest

from evaluation.errors import EvaluationError
from evaluation.plan import EvaluationPlan
from evaluation.suites.registry import SUITES
from evaluation.suites.suite import Bench
from tests.evaluation.benches import SMALL
from tests.models.support import require_corruptions


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_measures_the_same_again(name: str, bench: Bench) -> None:
    """A resumed evaluation mixes measurements of several processes: they must not depend on their order."""
    if name == "corruptions":
        require_corruptions()
    suite = SUITES[name]
    cells = list(suite.cells(bench))
    assert len({cell.key for cell in cells}) == len(cells)
    rows = [cell.measure() for cell in cells]
    last = list(suite.cells(bench))[-1]
    assert last.measure() == rows[-1]
    outcome = suite.outcome(bench.plan, rows)
    assert outcome.tables or outcome.pictures
    for table in (*outcome.tables, *outcome.details):
        assert all(len(row) == len(table.columns) for row in table.rows)
    for chart in outcome.charts:
        assert all(len(line.x) == len(line.y) > 0 for line in chart.lines)


@pytest.mark.parametrize("name", ["bounds", "levels"])
def test_too_few_votes_are_refused_before_anything_is_measured(name: str, bench: Bench) -> None:
    """Also where they are the bundle's, which no plan can check."""
    plan = EvaluationPlan.model_validate({**SMALL, "levels": {"n": 100, "alpha": 1e-40}})
    few = plan.certify.asked.model_copy(update={"n": 5})
    plan = plan.model_copy(update={"certify": plan.certify.model_copy(update={"asked": few})})
    asked = dataclasses.replace(bench, plan=plan)
    with pytest.raises(EvaluationError, match=r"'n' must be >= .* to certify at alpha = .*, got"):
        list(SUITES[name].cells(asked))
