"""What an evaluation reports: tables, charts and pictures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table of the report.

    Attributes:
        name: Of its file.
        title: In words.
        columns: Their names.
        rows: Texts, whole numbers, fractions; None is an empty place.
        note: What the reader has to know: conventions, what was left out and why.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float | None, ...], ...]
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
