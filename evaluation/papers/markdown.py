"""Pieces of the page: tables, numbers, links."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any, Final

from evaluation.papers.comparisons import Verdict
from evaluation.papers.evaluations import EVALUATIONS
from evaluation.papers.outcomes import Outcome, Outcomes
from evaluation.statistics.intervals import clopper_pearson_interval, known_interval

MISSING: Final = Verdict.MISSING.value
EMPTY: Final = "–"


@dataclass(frozen=True)
class Share:
    """A column of parts of the images, of which the table tells the number, too.

    It is shown in per cent, with Clopper and Pearson's interval.
    """

    column: str


@dataclass(frozen=True)
class Ranged:
    """A column and the ends of its 95 % interval.

    Attributes:
        column, low, high: Their names; without ends there is no interval.
        percent: Whether they are shown in per cent.
    """

    column: str
    low: str = ""
    high: str = ""
    percent: bool = False


Columns = Mapping[str, str | Share | Ranged]
"""What heads a column here, and which of an evaluation's it is."""


def copied_table(
    outcomes: Outcomes,
    names: Sequence[str],
    table: str,
    columns: Columns,
    *,
    digits: int = 3,
) -> str:
    """Return columns of a table as an evaluation wrote it, by what heads them here."""
    rows: list[tuple[str, ...]] = []
    for name in names:
        if name not in outcomes:
            rows.append((MISSING, *[EMPTY] * (len(columns) - 1), link_to(name)))
            continue
        rows += [
            (*(_cell(row, column, digits) for column in columns.values()), link_to(name))
            for row in named_rows(outcomes[name], table)
        ]
    return as_table((*columns, "evaluation"), rows)


def _cell(row: Mapping[str, Any], column: str | Share | Ranged, digits: int) -> str:
    match column:
        case Share(name):
            return EMPTY if row[name] is None else as_share(round(row[name] * row["images"]), row["images"])
        case Ranged(name, low, high, percent):
            return as_figure(row[name], row.get(low), row.get(high), digits, percent=percent)
        case _:
            value = row[column]
            return (
                EMPTY if value is None else f"{value:.{digits}f}" if isinstance(value, float) else str(value)
            )


def named_rows(outcome: Outcome, table: str, **wanted: Any) -> list[dict[str, Any]]:
    """Return rows of a table by column, those that have the wanted values."""
    found = outcome["tables"][table]
    rows = [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def as_figure(
    value: float | None, low: float | None, high: float | None, digits: int = 3, *, percent: bool = False
) -> str:
    """Return a figure, and under it its interval where that is known.

    >>> as_figure(0.5, 0.25, 0.75), as_figure(0.5, None, None, 0, percent=True)
    ('0.500<br>[0.250, 0.750]', '50')
    """
    if value is None:
        return EMPTY
    scale, digits = (100, min(digits, 1)) if percent else (1, digits)
    shown = f"{scale * value:.{digits}f}"
    if low is None or high is None:
        return shown
    return f"{shown}<br>[{scale * low:.{digits}f}, {scale * high:.{digits}f}]"


def as_share(right: int, images: int) -> str:
    """Return a part of the images in per cent, and under it Clopper and Pearson's 95 % interval.

    >>> as_share(8, 10)
    '80.0<br>[44.4, 97.5]'
    """
    return as_figure(right / images, *clopper_pearson_interval(right, images), percent=True)


def as_mean(values: Sequence[float]) -> str:
    """Return a mean, and under it Student's 95 % interval."""
    return as_figure(fsum(values) / len(values), *known_interval(values, 0.95))


def votes_of(evaluation: str) -> str:
    """Return the estimation votes of an evaluation."""
    (found,) = [each for each in EVALUATIONS if each.name == evaluation]
    return option_of(found.arguments, "--n") or EMPTY


def option_of(arguments: str, name: str) -> str | None:
    """Return an option's value in a command line."""
    words = arguments.split()
    return words[words.index(name) + 1] if name in words else None


def link_to(evaluation: str) -> str:
    """Return a link to the list of evaluations."""
    return f"[{evaluation}](#evaluations)"


def as_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
