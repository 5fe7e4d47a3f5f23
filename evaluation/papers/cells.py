"""Cells of the tables of docs/results.md: columns that an evaluation wrote, parts of the images, means."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any, Final

from evaluation.papers.claims import Verdict
from evaluation.papers.claims_section import link_to
from evaluation.papers.evaluations import EVALUATIONS
from evaluation.papers.measures import Outcome, Outcomes
from evaluation.papers.outcomes import named_rows
from evaluation.report.contents import EMPTY, Cell, Figure
from evaluation.report.tables import as_markdown
from evaluation.statistics.intervals import clopper_pearson_interval, known_interval

MISSING: Final = Verdict.MISSING.value

Column = str | Callable[[Mapping[str, Any]], Cell]
"""From a row of an evaluation's table to a cell here; a text is a column's name."""

Columns = Mapping[str, Column]
"""What heads each column here."""


def copied(outcomes: Outcomes, names: Sequence[str], table: str, columns: Columns) -> str:
    """Return columns of a table as evaluations wrote it, by what heads them here."""
    rows: list[Sequence[Cell]] = []
    for name in names:
        if name not in outcomes:
            rows.append((MISSING, *[EMPTY] * (len(columns) - 1), link_to(name)))
            continue
        rows += [
            (
                *(_cell(row, column) for column in columns.values()),
                link_to(name),
            )
            for row in named_rows(outcomes[name], table)
        ]
    return as_markdown((*columns, "evaluation"), rows)


def _cell(row: Mapping[str, Any], column: Column) -> Cell:
    value: Cell = row[column] if isinstance(column, str) else column(row)
    return Figure(value) if isinstance(value, float) else value


def part(column: str) -> Callable[[Mapping[str, Any]], Cell]:
    """Return a column of parts of the images, of which the table gives the number, too."""

    def cell(row: Mapping[str, Any]) -> Cell:
        return None if row[column] is None else share(round(row[column] * row["images"]), row["images"])

    return cell


def ranged(
    column: str, low: str = "", high: str = "", *, percent: bool = False, digits: int = 3
) -> Callable[[Mapping[str, Any]], Cell]:
    """Return a column and those of the ends of its 95 % interval."""
    return lambda row: Figure(row[column], row.get(low), row.get(high), digits, percent)


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


def votes(evaluation: str) -> str | None:
    """Return the estimation votes of an evaluation."""
    (found,) = [each for each in EVALUATIONS if each.name == evaluation]
    return found.votes
