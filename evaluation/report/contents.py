"""What an evaluation reports: tables, charts and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A number, and the interval that it is known to lie in, as a table shows them.

    Attributes:
        value, low, high: The number and the ends of its interval; None where unknown.
        digits: After the point.
        percent: Whether it is shown in per cent, with one digit at most.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    digits: int = 3
    percent: bool = False

    def __str__(self) -> str:
        """Return the number, and under it the interval.

        >>> str(Figure(0.5, 0.25, 0.75)), str(Figure(0.5, digits=0, percent=True)), str(Figure(None))
        ('0.500\\n[0.250, 0.750]', '50', '–')
        """
        if self.value is None:
            return EMPTY
        scale, digits = (100, min(self.digits, 1)) if self.percent else (1, self.digits)
        shown = f"{scale * self.value:.{digits}f}"
        if self.low is None or self.high is None:
            return shown
        return f"{shown}\n[{scale * self.low:.{digits}f}, {scale * self.high:.{digits}f}]"


EMPTY = "–"
"""How a table shows that there is nothing."""

Cell = str | int | float | Figure | None
"""Of a table; None is an empty place."""


@dataclass(frozen=True)
class Table:
    """A table of the report.

    Attributes:
        name: Of its file.
        title: In words.
        columns: Their names.
        rows: Texts, whole numbers, fractions, figures with their intervals.
        note: What the reader has to know: conventions, what was omitted and why.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class Line:
    """One line of a chart: its name and its points."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class Chart:
    """Lines over a common axis; ``steps`` draws them as steps, as a histogram has them."""

    name: str
    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    steps: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture in PNG, and what it shows in words."""

    name: str
    title: str
    png: bytes
    alt: str


@dataclass(frozen=True)
class Outcome:
    """What a suite has to report.

    Attributes:
        tables, charts, pictures: In files and on the page.
        details: Tables of each image's answer, by which runs can be compared image by image; in files alone.
        timings: Apart, since they alone differ between equal runs.
    """

    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    pictures: tuple[Picture, ...] = ()
    details: tuple[Table, ...] = ()
    timings: tuple[Table, ...] = ()
