"""What a bound is: the record, how every bound is called, and the checks and arithmetic that they share."""

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from smoothing.bounds.clopper_pearson import require_alpha
from smoothing.errors import require

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Bound:
    """Bounds on the top class's probability from below and on every other class's from above.

    With probability at least 1 − (``alpha_lower`` + ``alpha_upper``) over the estimation votes, both hold.

    Attributes:
        p_lower: Lower bound on the probability of ``top_class``.
        p_upper: Upper bound on the probability of each other class.
        alpha_lower: Failure probability spent on ``p_lower``.
        alpha_upper: Failure probability spent on ``p_upper``.
        top_class: The class that is to be certified.
        runner_up: The other class with the most estimation votes; None when no other class got any.
    """

    p_lower: float
    p_upper: float
    alpha_lower: float
    alpha_upper: float
    top_class: int
    runner_up: int | None

    def widened(self, error: float) -> "Bound":
        """The bounds when votes have another law, within ``error`` of the stated one in total variation."""
        lower, upper = self.p_lower - error, self.p_upper + error
        return replace(
            self,
            p_lower=max(0.0, math.nextafter(lower, -1.0)),
            p_upper=min(1.0, math.nextafter(upper, 2.0)),
        )

    @property
    def certifies(self) -> bool:
        """Whether the top class is proved more probable than every other."""
        return self.p_lower > self.p_upper


class BoundFunction(Protocol):
    """How every entry of ``BOUNDS`` is called."""

    def __call__(
        self, counts: Counts, top_class: int, alpha: float, *, alpha_upper: float | None = None
    ) -> Bound:
        """Bound the class probabilities behind ``counts`` ``(k,)`` with failure probability ``alpha``."""


def largest_other(counts: Counts, top_class: int) -> tuple[int, int]:
    """The class other than ``top_class`` with the most votes, and its votes."""
    others = counts.copy()
    others[top_class] = -1
    runner_up = int(others.argmax())
    return runner_up, int(others[runner_up])


def remainder(alpha: float, part: float) -> float:
    """``alpha − part``, rounded down where the parts would otherwise add up to more than alpha."""
    rest = alpha - part
    return math.nextafter(rest, 0.0) if rest + part > alpha else rest


def require_counts(counts: Counts, name: str) -> None:
    """Refuse what cannot be votes per class."""
    require(counts.ndim == 1 and len(counts) >= 2, name, "have shape (k,), k >= 2", counts.shape)
    require(np.issubdtype(counts.dtype, np.integer), name, "be integers", counts.dtype)
    require(bool(counts.min() >= 0), name, "be >= 0", counts.min())
    require(bool(counts.sum() >= 1), name, "hold at least one vote", counts.sum())


def require_votes(counts: Counts, top_class: int, alpha: float) -> None:
    """Refuse the arguments that no bound can take."""
    require_counts(counts, "counts")
    require_alpha(alpha)
    require(0 <= top_class < len(counts), "top_class", f"be in 0..{len(counts) - 1}", top_class)
