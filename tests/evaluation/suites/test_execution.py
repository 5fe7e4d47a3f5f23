"""Votes are counted as the bench says, and the tables say how."""

import dataclasses

import pytest
import torch

from evaluation.errors import EvaluationError
from evaluation.report.contents import Table
from evaluation.suites.registry import SUITES
from evaluation.suites.suite import Bench
from models.backends import BACKENDS


@pytest.mark.parametrize("name", ["bounds", "levels"])
@pytest.mark.parametrize(
    ("backend", "dtype"), [("eager", "float32"), ("eager", "bfloat16"), ("openvino", "float32")]
)
def test_votes_are_counted_by_the_backend_that_is_asked_for(
    name: str, backend: str, dtype: str, bench: Bench
) -> None:
    """And the table names it, so that a report does not tell of another arithmetic than it had."""
    if backend not in ("eager", *find_backends()):
        pytest.skip(f"{backend} does not run on this machine")
    suite = SUITES[name]
    asked = dataclasses.replace(bench, backend=backend, dtype=dtype)
    rows = [next(iter(suite.cells(asked))).measure()]
    assert executed_by(suite.outcome(asked.plan, rows).tables[0]) == {f"{backend} {dtype}"}


def test_what_cannot_be_executed_as_asked_is_told(bench: Bench) -> None:
    asked = dataclasses.replace(bench, backend="eager", dtype="int8")
    cell = next(iter(SUITES["bounds"].cells(asked)))
    with pytest.raises(EvaluationError, match=r"'small': 'dtype' must be one of .*got 'int8'"):
        cell.measure()


def test_measurements_of_an_older_journal_say_that_the_backend_is_not_recorded(bench: Bench) -> None:
    suite = SUITES["bounds"]
    row = dict(next(iter(suite.cells(bench))).measure())
    del row["executed"]
    assert executed_by(suite.outcome(bench.plan, [row]).tables[0]) == {"not recorded"}


def executed_by(table: Table) -> set[object]:
    place = table.columns.index("executed by")
    return {row[place] for row in table.rows}


def find_backends() -> list[str]:
    return [name for name, backend in BACKENDS.items() if backend.dtypes(torch.device("cpu"))]
