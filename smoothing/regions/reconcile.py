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
from typing import Literal

from smoothing.errors import SmoothingError, require
from smoothing.regions.distances import Distance, fraction_down, sqrt_bounds


class BrokenInvariant(SmoothingError):
    """Regions of different label overlap, which no sequence of ``reconcile`` can bring about."""


class Undecidable(SmoothingError):
    """The point is so near to regions of different label that rounding hides which of them holds it."""


@dataclass(frozen=True)
class CertifiedRegion:
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
class Reconciled:
    """A region that overlaps no region of another label, and how it came about.

    Attributes:
        region: What may be claimed and stored.
        outcome: ``kept`` as it was, ``clipped`` to smaller radii, or ``relabelled`` as the regions that hold
            its centre.
        decisive: Positions, in the given sequence, of the regions that changed the label or a radius.
    """

    region: CertifiedRegion
    outcome: Literal["kept", "clipped", "relabelled"]
    decisive: tuple[int, ...]


def contains(region: CertifiedRegion, d: Distance) -> bool:
    """Whether a point at distance ``d`` of the centre may lie in the region; the border belongs to it."""
    return d.l2_low <= region.l2 or d.l1_low <= region.l1


def surely_contains(region: CertifiedRegion, d: Distance) -> bool:
    """Whether every point at distance ``d`` of the centre lies in the region; the border belongs to it."""
    return d.l2_high <= region.l2 or d.l1_high <= region.l1


def overlaps(a: CertifiedRegion, b: CertifiedRegion, d: Distance) -> bool:
    """Whether two regions, their centres at distance ``d``, may have a point in common; labels do not matter.

    Where the kinds differ the smallest ℓ2 balls round them are compared, so they may be apart all the same.

    >>> a, b = CertifiedRegion(0, l2=0.5), CertifiedRegion(1, l2=0.25)
    >>> overlaps(a, b, Distance(0.75, 0.75, 1.0, 1.0))  # touching
    True
    """
    if a.cover == 0.0 or b.cover == 0.0:
        return contains(max(a, b, key=lambda region: region.cover), d)
    if a.l2 == b.l2 == 0.0:
        return Fraction(d.l1_low) <= Fraction(a.l1) + Fraction(b.l1)
    return Fraction(d.l2_low) <= Fraction(a.cover) + Fraction(b.cover)


def remaining(region: CertifiedRegion, d: Distance, *, dimension: int) -> CertifiedRegion:
    """Balls round a point at distance ``d`` of the centre that surely lie inside the region.

    In each norm it is the larger of what the region's two balls leave: an ℓ1 ball of radius r lies in the
    ℓ2 ball of radius r, an ℓ2 ball of radius r in the ℓ1 ball of radius r·√dimension. Else radii are 0.

    Args:
        region: What holds the point.
        d: From the region's centre to the point.
        dimension: Number of coordinates of a point, c·h·w.

    Raises:
        InvalidParameter: ``dimension`` is below 1.

    >>> remaining(CertifiedRegion(1, l2=0.75), Distance(0.5, 0.5, 0.5, 0.5), dimension=4)
    CertifiedRegion(label=1, l2=0.25, l1=0.25)
    >>> remaining(CertifiedRegion(1, l1=0.75), Distance(0.25, 0.25, 0.25, 0.25), dimension=4)
    CertifiedRegion(label=1, l2=0.25, l1=0.5)
    """
    require(dimension >= 1, "dimension", "be >= 1", dimension)
    l2_left = max(Fraction(region.l2) - Fraction(d.l2_high), Fraction(0))
    l1_left = max(Fraction(region.l1) - Fraction(d.l1_high), Fraction(0))
    root = Fraction(sqrt_bounds(Fraction(dimension))[1])
    return CertifiedRegion(
        region.label, fraction_down(max(l2_left, l1_left / root)), fraction_down(max(l1_left, l2_left))
    )


def reconcile(
    answer: CertifiedRegion, neighbours: Sequence[tuple[CertifiedRegion, Distance]], *, dimension: int
) -> Reconciled:
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
    >>> answer, same_label = CertifiedRegion(0, l2=0.5), (CertifiedRegion(0, l2=1.0), at(0.25))
    >>> reconcile(answer, [same_label, (CertifiedRegion(1, l2=0.25), at(1.0))], dimension=2)
    Reconciled(region=CertifiedRegion(label=0, l2=0.5, l1=0.0), outcome='kept', decisive=())
    >>> found = reconcile(answer, [same_label, (CertifiedRegion(1, l2=0.75), at(1.0))], dimension=2)
    >>> found.region.l2, found.outcome, found.decisive  # below 0.25, for touching is overlap
    (0.24999999999999997, 'clipped', (1,))
    >>> reconcile(answer, [(CertifiedRegion(1, l2=1.0), at(0.75))], dimension=2)
    Reconciled(region=CertifiedRegion(label=1, l2=0.25, l1=0.0), outcome='relabelled', decisive=(0,))
    """
    require(dimension >= 1, "dimension", "be >= 1", dimension)
    label, holders = _holders(answer.label, neighbours)
    if label == answer.label:
        return _clipped(answer, neighbours)
    left = [remaining(*neighbours[position], dimension=dimension) for position in holders]
    l2, l1 = max(region.l2 for region in left), max(region.l1 for region in left)
    return Reconciled(CertifiedRegion(label, min(answer.l2, l2), min(answer.l1, l1)), "relabelled", holders)


def _holders(
    own_label: int, neighbours: Sequence[tuple[CertifiedRegion, Distance]]
) -> tuple[int, tuple[int, ...]]:
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


def _clipped(answer: CertifiedRegion, neighbours: Sequence[tuple[CertifiedRegion, Distance]]) -> Reconciled:
    """Rule 2, for a centre that lies in no region of another label."""
    l2, l1, decisive = answer.l2, answer.l1, []
    for position, (region, d) in enumerate(neighbours):
        if region.label != answer.label and overlaps(answer, region, d):
            limit = _short_of(answer, region, d)
            l2, l1 = min(l2, limit), min(l1, limit)
            decisive.append(position)
    if (l2, l1) == (answer.l2, answer.l1):  # nothing overlaps, or it is a point, which cannot shrink
        return Reconciled(answer, "kept", ())
    return Reconciled(CertifiedRegion(answer.label, l2, l1), "clipped", tuple(decisive))


def _short_of(answer: CertifiedRegion, region: CertifiedRegion, d: Distance) -> float:
    """The largest radius of the answer's balls that does not reach the region; 0 if none does."""
    if answer.l2 == region.l2 == 0.0:
        return _strictly_below(Fraction(d.l1_low) - Fraction(region.l1))
    return _strictly_below(Fraction(d.l2_low) - Fraction(region.cover))


def _strictly_below(value: Fraction) -> float:
    """The largest float64 below the value, for at the value itself closed balls touch; 0 if none is >= 0."""
    rounded = fraction_down(value)
    return max(0.0, rounded if Fraction(rounded) < value else math.nextafter(rounded, -math.inf))
