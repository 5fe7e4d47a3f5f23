"""Whether two certified regions have a point in common, in exact arithmetic.

A region is the union of a closed ℓ2 ball and a closed ℓ1 ball round one centre. Centres are images of bytes,
so in steps of 1/255 their distances are integers in ℓ1, and roots of integers in ℓ2; radii are floats, and
floats are fractions. So every comparison here is one of rational numbers, and nothing is rounded but the size
of a gap, which is only shown.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

LEVELS: Final = 255  # steps of a pixel from 0 to 1
_MOST: Final = Fraction(10**12)  # steps: farther than any two images are from each other

Norm = Literal["ℓ2", "ℓ1"]


@dataclass(frozen=True)
class Balls:
    """The radii of a region's two balls, in steps of 1/255."""

    l2: Fraction
    l1: Fraction

    @classmethod
    def of_radii(cls, l2: float, l1: float) -> Self:
        """Makes them from radii in pixel units."""
        return cls(Fraction(l2) * LEVELS, Fraction(l1) * LEVELS)


@dataclass(frozen=True)
class Gap:
    """How far apart two balls are, in the norm in which that was decided.

    Attributes:
        norm: The norm.
        size: Pixel units, to be shown: by how much the distance is larger than both radii, or smaller.
        overlaps: Whether the balls have a point in common; touching is enough.
    """

    norm: Norm
    size: float
    overlaps: bool


def smallest_gap(steps: NDArray[np.int64], first: Balls, second: Balls) -> Gap:
    """Returns the smallest gap between a ball of one region and a ball of another, or the largest overlap.

    Unions are apart if every ball of one is apart from every ball of the other. Two ℓ2 balls are if their
    centres are farther apart than both radii together, two ℓ1 balls likewise in ℓ1. An ℓ2 ball and an ℓ1 ball
    are if the centre of the first is farther from the second, in ℓ2, than its own radius.

    Args:
        steps: Absolute differences of the two centres' pixels, in any order.
        first: The balls round one of them.
        second: The balls round the other.
    """
    gaps = [
        _root_gap(Fraction(int((steps * steps).sum())), first.l2 + second.l2),
        _gap("ℓ1", int(steps.sum()) - (first.l1 + second.l1), Fraction(1)),
    ]
    if not any(gap.overlaps for gap in gaps):
        gaps += [
            _root_gap(_squared_distance(steps, other.l1), one.l2)
            for one, other in ((first, second), (second, first))
            if one.l2 > 0 and other.l1 > other.l2  # else both balls lie in those that were compared above
        ]
    return min(gaps, key=lambda gap: gap.size)


def _root_gap(squared: Fraction, reach: Fraction) -> Gap:
    """The gap √squared − reach, without the cancellation of a difference."""
    return _gap("ℓ2", squared - reach * reach, Fraction(math.sqrt(squared)) + reach)


def _gap(norm: Norm, excess: Fraction, scale: Fraction) -> Gap:
    size = float(max(excess / scale, -_MOST) / LEVELS) if scale else 0.0
    if excess <= 0:
        return Gap(norm, size, overlaps=True)
    return Gap(norm, max(size, math.ulp(0)), overlaps=False)


def _squared_distance(steps: NDArray[np.int64], radius: Fraction) -> Fraction:
    """The squared ℓ2 distance of a point from an ℓ1 ball of positive radius that does not hold it.

    The nearest point of the ball is that where the ``kept`` largest steps are shorter by one threshold and
    the others are gone: the steps on the way to it are the smaller of threshold and step. The threshold makes
    what is left as long as the radius.
    """
    ordered = np.sort(steps)[::-1]
    sums = np.cumsum(ordered)
    # What would be left if the threshold were the step itself; it never falls from a step to a smaller one.
    left = sums - np.arange(1, ordered.size + 1) * ordered
    kept = int(np.searchsorted(left, math.ceil(radius), side="left"))
    threshold = (int(sums[kept - 1]) - radius) / kept
    rest = ordered[kept:]
    return kept * threshold * threshold + int((rest * rest).sum())
