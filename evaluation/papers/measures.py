"""A number for each test image, read from what evaluations measured.

A measure is one row of data; its fields say which kind it is.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Outcome = Mapping[str, Any]
Outcomes = Mapping[str, Outcome]
"""Outcomes by the name of their evaluation; what is absent has not been measured."""


class Entry(BaseModel):
    """One row of a data file of this package."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OfOne(Entry):
    """What is read from one evaluation.

    Attributes:
        evaluation: Its name.
    """

    evaluation: str

    @property
    def evaluations(self) -> tuple[str, ...]:
        """Names of the evaluations that are read."""
        return (self.evaluation,)


class Radius(OfOne):
    """The certified radius, 0 where the answer is wrong or missing.

    Attributes:
        run: As tables of certificates call it.
        norm: Of the radius.
        at_least: Where given, 1 for each radius at least so large, else 0: the mean is certified accuracy.
    """

    run: str
    norm: Literal["l2", "l1"] = "l2"
    at_least: float | None = None

    def read(self, outcomes: Outcomes) -> dict[int, float]:
        """Return the number of each image, by its position in the test split."""
        found = outcomes[self.evaluation]["certified"][self.run]
        radii = dict(zip(found["index"], found[self.norm], strict=True))
        if self.at_least is None:
            return radii
        return {index: float(radius >= self.at_least) for index, radius in radii.items()}


class BoundRadius(OfOne):
    """The certified radius by one bound, from the suite ``bounds``.

    Attributes:
        run: As the suite's tables call it.
        bound: Name of the bound.
        unit: Pixels to the unit that it is given in.
    """

    run: str
    bound: str
    unit: float = 1.0

    def read(self, outcomes: Outcomes) -> dict[int, float]:
        """Return the number of each image, by its position in the test split."""
        table = outcomes[self.evaluation]["tables"]["bounds-images"]
        column = table["columns"].index(self.bound)
        return {row[1]: row[column] / self.unit for row in table["rows"] if row[0] == self.run}


class Answers(OfOne):
    """1 where the answer is right, else 0, from a suite's table of answers image by image.

    Attributes:
        table: Its name.
        row: All cells of the row but the last, which holds the answers.
    """

    table: str
    row: tuple[str | float, ...]

    def read(self, outcomes: Outcomes) -> dict[int, float]:
        """Return the number of each image, by its position in the test split."""
        outcome = outcomes[self.evaluation]
        rows = outcome["tables"][self.table]["rows"]
        (digits,) = [found[-1] for found in rows if tuple(found[:-1]) == self.row]
        return {place * outcome["plan"]["every"]: float(digit) for place, digit in enumerate(digits)}


class Gain(Entry):
    """By how much one measure exceeds another, on the images that both have."""

    gain_of: "Measure"
    over: "Measure"

    @property
    def evaluations(self) -> tuple[str, ...]:
        """Names of the evaluations that are read."""
        return tuple(dict.fromkeys((*self.gain_of.evaluations, *self.over.evaluations)))

    def read(self, outcomes: Outcomes) -> dict[int, float]:
        """Return the number of each image, by its position in the test split."""
        one, other = self.gain_of.read(outcomes), self.over.read(outcomes)
        return {index: one[index] - other[index] for index in sorted(one.keys() & other.keys())}


Measure = Annotated[Radius | BoundRadius | Answers | Gain, Field(union_mode="left_to_right")]
