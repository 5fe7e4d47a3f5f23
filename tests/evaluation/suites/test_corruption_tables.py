"""Tables of corruption errors."""

import dataclasses

import pytest

from evaluation.errors import EvaluationError
from evaluation.plan import EvaluationPlan
from evaluation.suites.registry import SUITES
from evaluation.suites.suite import Bench
from tests.evaluation.benches import SMALL
from tests.models.support import require_corruptions


def test_the_baseline_s_corruption_error_is_one(bench: Bench) -> None:
    """And what cannot be applied to small images is left out and said so."""
    require_corruptions()
    suite = SUITES["corruptions"]
    rows = [cell.measure() for cell in suite.cells(bench)]
    summary, each = suite.outcome(bench.plan, rows).tables
    trained = dict(zip(summary.columns, summary.rows[0], strict=True))
    assert trained["classifier"] == "small, as trained"
    assert [trained[f"mCE{end}"] for end in ("", " from", " to")] == pytest.approx([1.0] * 3)
    adapted = dict(zip(summary.columns, summary.rows[1], strict=True))
    assert float(str(adapted["mCE from"])) < float(str(adapted["mCE"])) < float(str(adapted["mCE to"]))
    assert float(str(adapted["error from"])) < float(str(adapted["mean error"]))
    assert "elastic_transform" in summary.note
    assert {line[1] for line in each.rows} == {"contrast", "gaussian_noise"}


def test_a_corruption_that_does_not_apply_is_no_evaluation(bench: Bench) -> None:
    """Among others it is left out and said so; alone it leaves nothing to measure."""
    plan = EvaluationPlan.model_validate({**SMALL, "corruptions": {"names": ("elastic_transform",)}})
    with pytest.raises(
        EvaluationError, match=r"'corruption' must hold one that applies .* elastic_transform"
    ):
        list(SUITES["corruptions"].cells(dataclasses.replace(bench, plan=plan)))
