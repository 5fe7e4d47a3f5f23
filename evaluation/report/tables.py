"""A table as CSV and as Markdown."""

import csv
import io
from collections.abc import Sequence

from evaluation.report.contents import EMPTY, Cell, Table


def as_csv(table: Table) -> str:
    """Return a table as CSV: numbers in full, an empty place for None."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.columns)
    for row in table.rows:
        writer.writerow(
            ["" if value is None else repr(value) if isinstance(value, float) else value for value in row]
        )
    return buffer.getvalue()


def as_markdown(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Return a table as Markdown.

    >>> print(as_markdown(("name", "share"), [("one", 0.5), ("two", None)]))
    | name | share |
    |---|---|
    | one | 0.5 |
    | two | – |
    """
    lines = [[*map(_text, row)] for row in (columns, *rows)]
    head, *body = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([head, "|---" * len(columns) + "|", *body])


def shown(value: Cell) -> str:
    """Return a cell as people read it: fractions to four digits."""
    return EMPTY if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _text(value: Cell) -> str:
    return shown(value).replace("\n", "<br>")
