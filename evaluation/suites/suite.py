"""What every suite is given and gives: subjects and images in, cells and tables out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from evaluation.plan import EvaluationPlan
from evaluation.records import Row
from evaluation.report.contents import Outcome
from evaluation.subject import Images, Subject


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


class Suite(Protocol):
    """A set of measurements and the tables that they make: a module with these two functions."""

    def cells(self, bench: Bench) -> Iterator[Cell]:
        """Yield what is to be measured, in the order of the tables."""

    def outcome(self, plan: EvaluationPlan, rows: Sequence[Row]) -> Outcome:
        """Make tables of what the cells measured, in their order."""
