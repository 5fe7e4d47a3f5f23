"""What every suite is given and gives: subjects and images in, cells and tables out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from models.evaluation.plan import EvaluationPlan
from models.evaluation.subject import Images, Subject

Row = Mapping[str, Any]
"""What one cell measured, as JSON."""


@dataclass(frozen=True, eq=False)
class Bench:
    """What is measured on.

    Attributes:
        plan: What decides the outcome.
        subjects: The classifiers, in the plan's order.
        images: The test images.
        unseen: Other test images, from which a clean set may be taken; may be empty.
        classes: Names of the classes.
        backend, dtype: How suites that count votes execute classifiers: names as `models.backends.prepare`
            takes them, or ``auto``. Their tables name what executed them.
    """

    plan: EvaluationPlan
    subjects: Sequence[Subject]
    images: Images
    unseen: Images
    classes: tuple[str, ...]
    backend: str = "auto"
    dtype: str = "auto"


@dataclass(frozen=True)
class Cell:
    """One measurement that is worth keeping on its own: a resumed evaluation does not repeat it.

    Attributes:
        key: Names it within its suite.
        measure: Takes it; a function of the plan and nothing else.
    """

    key: str
    measure: Callable[[], Row]


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


class Suite(Protocol):
    """A set of measurements and the tables that they make."""

    def cells(self, bench: Bench) -> Iterator[Cell]:
        """Yield what is to be measured, in the order of the tables."""

    def outcome(self, plan: EvaluationPlan, rows: Sequence[Row]) -> Outcome:
        """Make tables of what the cells measured, in their order."""


def mean(values: Sequence[float]) -> float:
    """Return the mean."""
    return sum(values) / len(values)


def deviation(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation; None of a single value."""
    if len(values) < 2:
        return None
    centre = mean(values)
    return float((sum((value - centre) ** 2 for value in values) / (len(values) - 1)) ** 0.5)
