"""The sweep over the steps of OptimizeSigma."""

import dataclasses

from evaluation.suites.registry import SUITES
from evaluation.suites.suite import Bench


def test_without_steps_the_level_is_that_of_the_start(bench: Bench) -> None:
    suite = SUITES["levels"]
    every_third = tuple(range(0, 36, 3))
    bench = dataclasses.replace(bench, images=dataclasses.replace(bench.images, indices=every_third))
    rows = [cell.measure() for cell in suite.cells(bench)]
    assert [row["steps"] for row in rows] == [0, 2]
    assert rows[0]["sigmas"] == [0.25] * 12
    assert 0.25 not in rows[1]["sigmas"]
    outcome = suite.outcome(bench.plan, rows)
    each = outcome.details[0]
    assert each.columns[:3] == ("bundle", "K", "index")  # as the other tables name an image
    assert [line[2] for line in each.rows] == [*every_third, *every_third]
    table = outcome.tables[0]
    for row in (dict(zip(table.columns, line, strict=True)) for line in table.rows):
        assert row["images"] == 12
        assert row["accuracy from"] < row["accuracy"] < row["accuracy to"]
        assert row["from"] <= row["ACR ℓ2"] <= row["to"]
