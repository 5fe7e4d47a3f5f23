"""Certified regions, and how a new one is reconciled with all that were given before.

A certificate whose noise level was chosen for its own image speaks of a classifier that changes from image
to image; what makes one classifier of them is a memory of all certified regions. The classifier's answer
inside a region is the region's label, so one invariant has to hold: no two regions of different label
overlap, where touching is overlap, for the balls are closed. ``reconcile`` keeps it by changing the newcomer,
never what was answered before.

Distances come as intervals, arithmetic on them is rational, and the one rounding at its end makes a radius
smaller. All lengths are in pixel units, on the [0, 1] scale.

Reference:
    Alfarra, Bibi, Torr & Ghanem, "Data Dependent Randomized Smoothing", UAI 2022, §3.5 and Algorithm 3. The
    rules for ℓ1 balls and for regions of both balls are ours.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smoothing.errors import SmoothingError, require

_LEVELS = 255  # a uint8 pixel counts steps of 1/255
_SUM_ERROR = 2.0**-50  # relative; subtraction, fsum or dist (less than 1 ulp) and product err by 4 · 2^-53


class BrokenInvariant(SmoothingError):
    """Regions of different label overlap, which no sequence of ``reconcile`` can bring about."""


class Undecidable(SmoothingError):
    """The point is so near to regions of different label that rounding hides which of them holds it."""


@dataclass(frozen=True)
class Region:
    """The union of a closed ℓ2 ball and a closed ℓ1 ball round one centre, in which the answer is one label.

    A ball of radius 0 is the centre alone, so the region always holds its centre.

    Attributes:
        label: The class, at least 0.
        l2: Radius of the ℓ2 ball, pixel units.
        l1: Radius of the ℓ1 ball, pixel units.

    Raises:
        InvalidParameter: The label is no integer from 0, or a radius is not finite and from 0.
    """

    label: int
    l2: float = 0.0
    l1: float = 0.0

    def __post_init__(self) -> None:
        require(isinstance(self.label, int) and self.label >= 0, "label", "be an integer >= 0", self.label)
        for name in ("l2", "l1"):
            radius = getattr(self, name)
            require(0.0 <= radius < math.inf, name, "be finite and >= 0", radius)

    @property
    def cover(self) -> float:
        """Radius of the smallest ℓ2 ball round the centre that holds the region: the larger of the two."""
        return max(self.l2, self.l1)


@dataclass(frozen=True)
class Distance:
    """Intervals that surely hold the true distance of two points in each norm, pixel units.

    Raises:
        InvalidParameter: An interval is empty or not in [0, ∞), or an ℓ1 bound is below that of ℓ2.
    """

    l2_low: float
    l2_high: float
    l1_low: float
    l1_high: float

    def __post_init__(self) -> None:
        require(0.0 <= self.l2_low <= self.l2_high < math.inf, "l2", "be an interval in [0, inf)", self)
        require(0.0 <= self.l1_low <= self.l1_high < math.inf, "l1", "be an interval in [0, inf)", self)
        ordered = self.l2_low <= self.l1_low and self.l2_high <= self.l1_high
        require(ordered, "l1", "have no bound below that of l2", self)


@dataclass(frozen=True)
class Reconciled:
    """A region that overlaps no region of another label, and how it came about.

    Attributes:
        region: What may be claimed and stored.
        outcome: ``kept`` as it was, ``clipped`` to smaller radii, or ``relabelled`` as the regions that hold
            its centre.
        decisive: Positions, in the given sequence, of the regions that changed the label or a radius.
    """

    region: Region
    outcome: Literal["kept", "clipped", "relabelled"]
    decisive: tuple[int, ...]


def distance(x: NDArray[Any], y: NDArray[Any]) -> Distance:
    """The distance of two images in both norms, between bounds that are at most a few float64 apart.

    Args:
        x: Any shape; uint8 in steps of 1/255, or float64 in pixel units.
        y: Of the same shape and type.

    Raises:
        InvalidParameter: The shapes or types differ, the type is another, or an array is empty or not finite.

    >>> distance(np.array([0, 255], dtype=np.uint8), np.array([255, 255], dtype=np.uint8))
    Distance(l2_low=1.0, l2_high=1.0, l1_low=1.0, l1_high=1.0)
    """
    require(x.dtype in (np.uint8, np.float64), "x", "be uint8 or float64", str(x.dtype))
    require(y.dtype == x.dtype, "y", f"be {x.dtype} as 'x' is", str(y.dtype))
    require(x.size > 0, "x", "not be empty", x.shape)
    require(y.shape == x.shape, "y", f"have the shape {x.shape} of 'x'", y.shape)
    return _pixel_distance(x, y) if x.dtype == np.uint8 else _float_distance(x, y)


def contains(region: Region, d: Distance) -> bool:
    """Whether a point at distance ``d`` of the centre may lie in the region; the border belongs to it."""
    return d.l2_low <= region.l2 or d.l1_low <= region.l1


def surely_contains(region: Region, d: Distance) -> bool:
    """Whether every point at distance ``d`` of the centre lies in the region; the border belongs to it."""
    return d.l2_high <= region.l2 or d.l1_high <= region.l1


def overlaps(a: Region, b: Region, d: Distance) -> bool:
    """Whether two regions, their centres at distance ``d``, may have a point in common; labels do not matter.

    Where the kinds differ the smallest ℓ2 balls round them are compared, so they may be apart all the same.

    >>> overlaps(Region(0, l2=0.5), Region(1, l2=0.25), Distance(0.75, 0.75, 1.0, 1.0))  # touching
    True
    """
    if a.cover == 0.0 or b.cover == 0.0:
        return contains(max(a, b, key=lambda region: region.cover), d)
    if a.l2 == b.l2 == 0.0:
        return Fraction(d.l1_low) <= Fraction(a.l1) + Fraction(b.l1)
    return Fraction(d.l2_low) <= Fraction(a.cover) + Fraction(b.cover)


def remaining(region: Region, d: Distance, *, dimension: int) -> Region:
    """Balls round a point at distance ``d`` of the centre that surely lie inside the region.

    In each norm it is the larger of what the region's two balls leave: an ℓ1 ball of radius r lies in the
    ℓ2 ball of radius r, an ℓ2 ball of radius r in the ℓ1 ball of radius r·√dimension. Else radii are 0.

    Args:
        region: What holds the point.
        d: From the region's centre to the point.
        dimension: Number of coordinates of a point, c·h·w.

    Raises:
        InvalidParameter: ``dimension`` is below 1.

    >>> remaining(Region(1, l2=0.75), Distance(0.5, 0.5, 0.5, 0.5), dimension=4)
    Region(label=1, l2=0.25, l1=0.25)
    >>> remaining(Region(1, l1=0.75), Distance(0.25, 0.25, 0.25, 0.25), dimension=4)
    Region(label=1, l2=0.25, l1=0.5)
    """
    require(dimension >= 1, "dimension", "be >= 1", dimension)
    l2_left = max(Fraction(region.l2) - Fraction(d.l2_high), Fraction(0))
    l1_left = max(Fraction(region.l1) - Fraction(d.l1_high), Fraction(0))
    root = Fraction(_sqrt_bounds(Fraction(dimension))[1])
    return Region(region.label, _round_down(max(l2_left, l1_left / root)), _round_down(max(l1_left, l2_left)))


def reconcile(answer: Region, neighbours: Sequence[tuple[Region, Distance]], *, dimension: int) -> Reconciled:
    """Change a new region as little as needed, so that it overlaps no region of another label.

    1. Where its centre lies in regions of another label, it takes their label, and each of its balls shrinks
       to what lies inside one of them.
    2. Else each of its balls shrinks until it stops short of every region of another label: by the ℓ2 radii
       where both are pure ℓ2 balls, by the ℓ1 radii where both are pure ℓ1 balls, else by ``cover``.
    3. Regions of its own label change nothing.

    Args:
        answer: The new region.
        neighbours: Regions that were given before, at least all that might overlap ``answer``, each with the
            distance from its centre to the new one's.
        dimension: Number of coordinates of a point, c·h·w.

    Raises:
        InvalidParameter: ``dimension`` is below 1.
        BrokenInvariant: Regions of different label surely contain the centre.
        Undecidable: None surely contains the centre, and those that may have different labels.

    >>> def at(distance):  # along an axis, where it is the same in both norms
    ...     return Distance(distance, distance, distance, distance)
    >>> answer, same_label = Region(0, l2=0.5), (Region(0, l2=1.0), at(0.25))
    >>> reconcile(answer, [same_label, (Region(1, l2=0.25), at(1.0))], dimension=2)
    Reconciled(region=Region(label=0, l2=0.5, l1=0.0), outcome='kept', decisive=())
    >>> reconcile(answer, [same_label, (Region(1, l2=0.75), at(1.0))], dimension=2)  # touching is overlap
    Reconciled(region=Region(label=0, l2=0.24999999999999997, l1=0.0), outcome='clipped', decisive=(1,))
    >>> reconcile(answer, [(Region(1, l2=1.0), at(0.75))], dimension=2)
    Reconciled(region=Region(label=1, l2=0.25, l1=0.0), outcome='relabelled', decisive=(0,))
    """
    require(dimension >= 1, "dimension", "be >= 1", dimension)
    label, holders = _holders(answer.label, neighbours)
    if label == answer.label:
        return _clipped(answer, neighbours)
    left = [remaining(*neighbours[position], dimension=dimension) for position in holders]
    l2, l1 = max(region.l2 for region in left), max(region.l1 for region in left)
    return Reconciled(Region(label, min(answer.l2, l2), min(answer.l1, l1)), "relabelled", holders)


def _holders(own_label: int, neighbours: Sequence[tuple[Region, Distance]]) -> tuple[int, tuple[int, ...]]:
    """The label that the memory gives the point, else its own, and the positions of the regions with it."""
    may = tuple(i for i, (region, d) in enumerate(neighbours) if contains(region, d))
    sure = tuple(i for i in may if surely_contains(*neighbours[i]))
    # A region that only may hold a point which another surely holds does not, by the invariant.
    holders = sure or may
    labels = {neighbours[i][0].label for i in holders}
    if len(labels) <= 1:
        return (labels.pop() if labels else own_label), holders
    named = ", ".join(f"{i} (label {neighbours[i][0].label})" for i in holders)
    if sure:
        raise BrokenInvariant(f"regions {named} overlap: all of them contain the point, and labels differ")
    raise Undecidable(f"regions {named} may contain the point, and labels differ; none surely does")


def _clipped(answer: Region, neighbours: Sequence[tuple[Region, Distance]]) -> Reconciled:
    """Rule 2, for a centre that lies in no region of another label."""
    l2, l1, decisive = answer.l2, answer.l1, []
    for position, (region, d) in enumerate(neighbours):
        if region.label != answer.label and overlaps(answer, region, d):
            limit = _short_of(answer, region, d)
            l2, l1 = min(l2, limit), min(l1, limit)
            decisive.append(position)
    if (l2, l1) == (answer.l2, answer.l1):  # nothing overlaps, or it is a point, which cannot shrink
        return Reconciled(answer, "kept", ())
    return Reconciled(Region(answer.label, l2, l1), "clipped", tuple(decisive))


def _short_of(answer: Region, region: Region, d: Distance) -> float:
    """The largest radius of the answer's balls that does not reach the region; 0 if none does."""
    if answer.l2 == region.l2 == 0.0:
        return _strictly_below(Fraction(d.l1_low) - Fraction(region.l1))
    return _strictly_below(Fraction(d.l2_low) - Fraction(region.cover))


def _pixel_distance(x: NDArray[np.uint8], y: NDArray[np.uint8]) -> Distance:
    steps = x.astype(np.int64) - y
    l1 = Fraction(int(np.abs(steps).sum()), _LEVELS)
    l2 = _sqrt_bounds(Fraction(int((steps * steps).sum()), _LEVELS**2))
    return _consistent(l2, (_round_down(l1), -_round_down(-l1)))


def _float_distance(x: NDArray[np.float64], y: NDArray[np.float64]) -> Distance:
    for name, array in (("x", x), ("y", y)):
        require(bool(np.isfinite(array).all()), name, "be finite", array)
    l2 = math.dist(x.ravel().tolist(), y.ravel().tolist())
    l1 = math.fsum(np.abs(x - y).ravel().tolist())
    return _consistent(_outward(l2), _outward(l1))


def _outward(value: float) -> tuple[float, float]:
    if value == 0.0:  # only where the points are the same: no difference and no sum of them underflows to 0
        return 0.0, 0.0
    low, high = value * (1.0 - _SUM_ERROR), value * (1.0 + _SUM_ERROR)
    return math.nextafter(low, 0.0), math.nextafter(high, math.inf)


def _consistent(l2: tuple[float, float], l1: tuple[float, float]) -> Distance:
    """Each norm's bound may serve the other, since ‖·‖₂ ≤ ‖·‖₁."""
    return Distance(l2[0], min(l2[1], l1[1]), max(l1[0], l2[0]), l1[1])


def _sqrt_bounds(square: Fraction) -> tuple[float, float]:
    low = high = math.sqrt(square)
    while Fraction(low) ** 2 > square:
        low = math.nextafter(low, 0.0)
    while Fraction(high) ** 2 < square:
        high = math.nextafter(high, math.inf)
    return low, high


def _round_down(value: Fraction) -> float:
    nearest = float(value)
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)


def _strictly_below(value: Fraction) -> float:
    """The largest float64 below the value, for at the value itself closed balls touch; 0 if none is >= 0."""
    rounded = _round_down(value)
    return max(0.0, rounded if Fraction(rounded) < value else math.nextafter(rounded, -math.inf))
