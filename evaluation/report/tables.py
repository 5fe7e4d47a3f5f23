"""A table as CSV, as HTML and as Markdown."""

import csv
import io
from collections.abc import Sequence
from html import escape

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


def as_html(table: Table) -> str:
    """Return a table as HTML, which a narrow window scrolls, and its note."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    body = "".join(f"<tr>{''.join(map(_html_cell, row))}</tr>" for row in table.rows)
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<div class="scroll" tabindex="0"><table><caption>{escape(table.title)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{note}"
    )


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


def _html_cell(value: Cell) -> str:
    kind = ' class="text"' if isinstance(value, str) else ""
    return f"<td{kind}>{escape(shown(value)).replace(chr(10), '<br>')}</td>"
