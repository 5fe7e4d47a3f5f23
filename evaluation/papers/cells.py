"""Cells of the tables of docs/results.md: columns that an evaluation wrote, parts of the images, means."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from evaluation.papers.claims_section import link_to
from evaluation.papers.measures import Outcome, Outcomes
from evaluation.papers.outcomes import named_rows
from evaluation.report.contents import Cell, Figure
from evaluation.report.tables import as_markdown
from evaluation.statistics.intervals import clopper_pearson_interval, known_interval


def copied(outcomes: Outcomes, tables: Sequence[Mapping[str, Any]]) -> str:
    """Return columns of tables as evaluations wrote them, by what heads them here."""
    shown = []
    for table in tables:
        columns = table["columns"]
        rows = [
            (*(_cell(row, column) for column in columns.values()), link_to(name))
            for name in table["evaluations"]
            if name in outcomes
            for row in named_rows(outcomes[name], table["table"])
        ]
        shown.append(as_markdown((*columns, "evaluation"), rows))
    return "\n\n".join(shown)


def _cell(row: Mapping[str, Any], column: str | Mapping[str, Any]) -> Cell:
    if isinstance(column, str):
        value: Cell = row[column]
        return Figure(value) if isinstance(value, float) else value
    if "part" in column:
        found = row[column["part"]]
        return None if found is None else share(round(found * row["images"]), row["images"])
    return Figure(**{name: row[given] if isinstance(given, str) else given for name, given in column.items()})


def answered(outcome: Outcome, name: str, sigma: float, scheme: str) -> Cell:
    """Return accuracy under noise; without noise there is nothing to adapt to."""
    wanted = {"bundle": name, "sigma": sigma, "scheme": scheme}
    for row in named_rows(outcome, "noise-images", **wanted):
        return share(row["right"].count("1"), len(row["right"]))
    return None


def share(right: int, images: int) -> Figure:
    """Return a part of the images in per cent, with Clopper and Pearson's interval."""
    return Figure(right / images, *clopper_pearson_interval(right, images), percent=True)


def mean(values: Sequence[float]) -> Figure:
    """Return a mean with Student's interval."""
    return Figure(fmean(values), *known_interval(values, 0.95))
