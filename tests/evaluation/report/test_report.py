"""What is written: tables in full, a page that stands alone."""

import csv
import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from evaluation.certificates.tables import Setting, as_row, settings
from evaluation.certificates.tables import outcome as certificate_outcome
from evaluation.plan import EvaluationPlan
from evaluation.report.charts import as_svg
from evaluation.report.contents import Chart, Line, Outcome, Table
from evaluation.report.write import write_report
from evaluation.statistics.intervals import mean_interval
from tests.evaluation.records import FOUR, record

PLAN = EvaluationPlan.model_validate(
    {
        "bundles": {"one": "1" * 64, "<two>": "2" * 64},
        "suites": ("certify",),
        "certify": {"sigmas": (0.5,), "adapt": (False,), "radii": (0.0, 0.5), "levels": (0.5,)},
    }
)
ROWS = [as_row(setting, one) for setting in settings(PLAN) for one in FOUR]


def test_runs_are_bundles_by_adaptation_by_level() -> None:
    plan = PLAN.model_copy(
        update={"certify": PLAN.certify.model_copy(update={"adapt": (False, True), "sigmas": (0.25, 0.5)})}
    )
    found = list(settings(plan))
    assert len(found) == 8
    assert found[:3] == [Setting("one", 0.25, False), Setting("one", 0.5, False), Setting("one", 0.25, True)]
    assert len({setting.key for setting in found}) == 8


def test_all_files_say_the_same(tmp_path: Path) -> None:
    """CSV with full numbers, JSON with plan and command, and a page."""
    written = write_report(tmp_path, PLAN, {"certify": certificate_outcome(PLAN, ROWS)}, "radii evaluate one")
    assert {path.name for path in written} == {path.name for path in tmp_path.iterdir()}
    with (tmp_path / "certified-accuracy-l2.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["run", "0", "0.5", "ACR"]
    assert rows[1] == ["one, gaussian, as trained, σ = 0.5", "0.5", "0.25", "0.3125"]
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["command"] == "radii evaluate one"
    assert EvaluationPlan.model_validate(results["plan"]) == PLAN
    assert results["tables"]["certified-accuracy-l2"]["rows"][0][1:] == [0.5, 0.25, 0.3125]
    assert "timings" not in results["tables"]
    with (tmp_path / "records.csv").open() as file:
        assert len(list(csv.reader(file))) == 1 + 8


def test_runs_are_compared_image_by_image() -> None:
    """The second classifier's radii are 0.5 and 0.25 larger on two of the first's images: the mean of pairs."""
    better = [record(0, radius=1.5), record(1, radius=0.5), record(7, radius=3.0)]
    first, second = settings(PLAN)
    rows = [as_row(first, one) for one in FOUR] + [as_row(second, one) for one in better]
    tables = {table.name: table for table in certificate_outcome(PLAN, rows).tables}
    one, other = tables["average-radius-l2"].rows
    assert one[1:] == (4, 0.3125, *mean_interval([1.0, 0.25, 0.0, 0.0]), None, None, None)
    assert other[1:3] == (3, pytest.approx(5 / 3))
    assert other[5:] == (0.375, *mean_interval([0.5, 0.25]))


def test_one_image_has_no_interval() -> None:
    first, second = settings(PLAN)
    rows = [as_row(one, record(0, radius=1.0)) for one in (first, second)]
    tables = {table.name: table for table in certificate_outcome(PLAN, rows).tables}
    assert [row[1:] for row in tables["average-radius-l2"].rows] == [
        (1, 1.0, None, None, None, None, None),
        (1, 1.0, None, None, 0.0, None, None),
    ]


def test_times_are_apart_from_what_they_do_not_change(tmp_path: Path) -> None:
    """Two runs that took different times differ in the timings and the page alone."""
    for name, seconds in (("a", 0.5), ("b", 0.7)):
        rows = [as_row(Setting("one", 0.5, False), record(0, radius=1.0, seconds=seconds))]
        (tmp_path / name).mkdir()
        write_report(tmp_path / name, PLAN, {"certify": certificate_outcome(PLAN, rows)}, "c")
    differ = {
        path.name
        for path in (tmp_path / "a").iterdir()
        if path.read_bytes() != (tmp_path / "b" / path.name).read_bytes()
    }
    assert differ == {"timings.csv", "report.html"}


def test_answers_image_by_image_are_in_files_and_not_on_the_page(tmp_path: Path) -> None:
    each = Table("each", "Each image", ("right",), (("0110",),))
    written = write_report(tmp_path, PLAN, {"noise": Outcome(details=(each,))}, "c")
    assert tmp_path / "each.csv" in written
    assert json.loads((tmp_path / "results.json").read_text())["tables"]["each"]["rows"] == [["0110"]]
    assert "0110" not in (tmp_path / "report.html").read_text()


def test_the_page_stands_alone(tmp_path: Path) -> None:
    """It fetches nothing, runs nothing, follows light and dark, tells charts in words, and escapes names."""
    write_report(tmp_path, PLAN, {"certify": certificate_outcome(PLAN, ROWS)}, "radii evaluate '<two>'")
    page = (tmp_path / "report.html").read_text()
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", page)
    assert "<script" not in page
    assert "@import" not in page
    assert "color-scheme: light dark" in page
    assert page.count('role="img"') == page.count("<svg")
    assert "<two>" not in page
    assert "&lt;two&gt;" in page
    assert 'lang="en"' in page


def test_a_chart_takes_its_ink_from_the_page_and_repeats() -> None:
    chart = Chart("c", "t", "x", "y", (Line("a & b", (0.0, 1.0), (0.5, 1.0)),))
    svg = as_svg(chart)
    assert svg == as_svg(chart)
    assert "currentColor" in svg
    assert "#010203" not in svg
    assert "a &amp; b" in svg


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"images": 0}, "images"),
        ({"seed": 2**128}, "seed"),
        ({"certify": {"noise": "laplace"}}, "noise"),
        ({"certify": {"alpha": 0.6}}, "alpha"),
        ({"corruptions": {"baseline": "three"}}, "baseline"),
        ({"corruptions": {"severities": (6,)}}, "severities"),
    ],
)
def test_an_impossible_plan_names_its_field(change: dict[str, object], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        EvaluationPlan.model_validate({**PLAN.model_dump(), **change})
