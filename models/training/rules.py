"""What fields of a plan and arguments of a recipe must be; the arguments carry their rules as annotations."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Annotated, Any

from models.errors import TrainingError


@dataclass(frozen=True)
class Rule:
    """A test of a value, and the words for it that follow "must be"."""

    words: str
    holds: Callable[[Any], bool]

    def require(self, key: str, value: object) -> None:
        """Refuse a value that breaks the rule.

        Raises:
            TrainingError: if it does; it names the key.
        """
        if not self.holds(value):
            raise TrainingError(f"'{key}' must be {self.words}, got {value!r}")


def number(words: str, holds: Callable[[float], bool]) -> Rule:
    """Return a rule for finite numbers."""
    return Rule(words, lambda value: isinstance(value, Real) and math.isfinite(value) and holds(float(value)))


def integer(least: int) -> Rule:
    """Return the rule of a whole number from a least one on."""
    return Rule(f"an integer >= {least}", lambda value: isinstance(value, Integral) and int(value) >= least)


def one_of(names: Collection[str]) -> Rule:
    """Return the rule of a choice."""
    return Rule(f"one of {[*names]}", lambda value: isinstance(value, str) and value in names)


NOT_NEGATIVE = number("finite and >= 0", lambda value: value >= 0)
POSITIVE = number("finite and > 0", lambda value: value > 0)

Count = Annotated[int, integer(1)]
NotNegative = Annotated[float, NOT_NEGATIVE]
Positive = Annotated[float, POSITIVE]
Share = Annotated[float, number("in [0, 1]", lambda value: 0 <= value <= 1)]
