"""Pieces of the page: tables, numbers, links."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from docs.results_comparisons import Verdict
from docs.results_evaluations import EVALUATIONS
from docs.results_outcomes import Outcome, Outcomes
from models.evaluation.intervals import mean_interval

MISSING: Final = Verdict.MISSING.value
EMPTY: Final = "–"


def copied_table(
    outcomes: Outcomes,
    names: Sequence[str],
    table: str,
    columns: Mapping[str, str],
    *,
    percents: Sequence[str] = (),
    digits: int = 3,
) -> str:
    """Return columns of a table as an evaluation wrote it, by what heads them here."""
    rows: list[tuple[str, ...]] = []
    for name in names:
        if name not in outcomes:
            rows.append((MISSING, *[EMPTY] * (len(columns) - 1), link_to(name)))
            continue
        for row in named_rows(outcomes[name], table):
            shown = [
                _shown(row[column], digits, percent=title in percents) for title, column in columns.items()
            ]
            rows.append((*shown, link_to(name)))
    return as_table((*columns, "evaluation"), rows)


def named_rows(outcome: Outcome, table: str, **wanted: Any) -> list[dict[str, Any]]:
    """Return rows of a table by column, those that have the wanted values."""
    found = outcome["tables"][table]
    rows = [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def _shown(value: str | float | None, digits: int, *, percent: bool) -> str:
    if percent:
        return as_percent(value)
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    return EMPTY if value is None else str(value)


def as_percent(share: Any) -> str:
    """Return a share in per cent."""
    return EMPTY if share is None else f"{100 * share:.1f}"


def as_interval(values: Sequence[float]) -> str:
    """Return the 95 % interval of a mean, in brackets."""
    if len(values) < 2:
        return EMPTY
    low, high = mean_interval(values)
    return f"[{low:.3f}, {high:.3f}]"


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
