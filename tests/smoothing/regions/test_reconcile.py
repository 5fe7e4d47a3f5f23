"""Regions: the invariant against exact rational geometry, the definition's radii, ties, pockets and errors.

The oracle below shares nothing with the module: centres and radii are rational numbers, balls are compared by
squares, and the distance to an ℓ1 ball comes from the projection on it, which proves itself optimal.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothing.errors import InvalidParameter, SmoothingError
from smoothing.regions import (
    BrokenInvariant,
    CertifiedRegion,
    Distance,
    Undecidable,
    distance,
    reconcile,
    remaining,
    surely_contains,
)
from smoothing.regions.reconcile import Reconciled, contains, overlaps
from tests.properties import examples

Point = tuple[Fraction, ...]
lightly = examples(200)
TOLERANCE = Decimal("1e-12")  # what rounding may take off a radius
NEAR = Decimal("1e-13")  # where rounding may decide on which side of a border a point lies
DIGITS = Decimal("1e-50")  # far above the error of 60 digits, far below one float64 at any radius that counts


# --- The oracle -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Placed:
    """A region at its centre, all of it in exact numbers."""

    at: Point
    label: int
    l2: Fraction
    l1: Fraction

    @property
    def cover(self) -> Fraction:
        return max(self.l2, self.l1)


def exact(image: np.ndarray) -> Point:
    """The point in pixel units: uint8 counts steps of 1/255, a float is what it is."""
    unit = Fraction(1, 255) if image.dtype == np.uint8 else Fraction(1)
    return tuple(Fraction(value) * unit for value in image.ravel().tolist())


def place(image: np.ndarray, region: CertifiedRegion) -> Placed:
    return Placed(exact(image), region.label, Fraction(region.l2), Fraction(region.l1))


def offset(x: Point, y: Point) -> Point:
    return tuple(abs(a - b) for a, b in zip(x, y, strict=True))


def norm1(v: Point) -> Fraction:
    return sum(v, Fraction(0))


def square(v: Point) -> Fraction:
    return sum((a * a for a in v), Fraction(0))


def square_to_l1_ball(v: Point, radius: Fraction) -> Fraction:
    """Squared ℓ2 distance of v >= 0 from the ℓ1 ball round 0, rational as everything else.

    The nearest point takes the same amount off the largest coordinates. That it is nearest is checked by the
    condition that no vertex of the ball lies on its far side.
    """
    if norm1(v) <= radius:
        return Fraction(0)
    down = sorted(v, reverse=True)
    cut = max((sum(down[:k], Fraction(0)) - radius) / k for k in range(1, len(v) + 1))
    gap = tuple(min(a, cut) for a in v)
    nearest = tuple(a - g for a, g in zip(v, gap, strict=True))
    assert norm1(nearest) == radius
    assert radius * max(gap) <= sum(g * p for g, p in zip(gap, nearest, strict=True))
    return square(gap)


def holds(region: Placed, point: Point) -> bool:
    v = offset(region.at, point)
    return square(v) <= region.l2**2 or norm1(v) <= region.l1


def intersect(a: Placed, b: Placed) -> bool:
    """Whether the two sets have a point in common, whatever their kinds."""
    v = offset(a.at, b.at)
    return (
        square(v) <= (a.l2 + b.l2) ** 2
        or norm1(v) <= a.l1 + b.l1
        or square_to_l1_ball(v, b.l1) <= a.l2**2
        or square_to_l1_ball(v, a.l1) <= b.l2**2
    )


def decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def lengths(v: Point) -> tuple[Decimal, Decimal]:
    return decimal(square(v)).sqrt(), decimal(norm1(v))


def defined(
    answer: Placed, memory: Sequence[Placed], reach: Fraction = Fraction(0)
) -> tuple[str, int, Decimal, Decimal]:
    """Outcome, label and both radii as the definition gives them, to 60 digits.

    A stored point counts where the answer holds it, or would if its radii were larger by ``reach``.
    """
    reached = Placed(answer.at, answer.label, answer.l2 + reach, answer.l1 + reach)
    own_l2, own_l1 = decimal(answer.l2), decimal(answer.l1)
    l2, l1 = own_l2, own_l1
    holding = [region for region in memory if holds(region, answer.at)]
    if any(region.label != answer.label for region in holding):
        label = holding[0].label
        left2 = left1 = Decimal(0)
        for region in holding:
            d2, d1 = lengths(offset(region.at, answer.at))
            of_l2 = max(decimal(region.l2) - d2, Decimal(0))
            of_l1 = max(decimal(region.l1) - d1, Decimal(0))
            left2 = max(left2, of_l2, of_l1 / Decimal(len(answer.at)).sqrt())
            left1 = max(left1, of_l1, of_l2)
        return "relabelled", label, min(own_l2, left2), min(own_l1, left1)
    for region in memory:
        beside_a_point = region.cover == 0 and not holds(reached, region.at)
        if region.label == answer.label or beside_a_point:
            continue
        d2, d1 = lengths(offset(region.at, answer.at))
        if answer.l1 == region.l1 == 0:
            l2 = min(l2, d2 - decimal(region.l2))
        elif answer.l2 == region.l2 == 0:
            l1 = min(l1, d1 - decimal(region.l1))
        else:
            l2, l1 = (min(radius, max(d2 - decimal(region.cover), Decimal(0))) for radius in (l2, l1))
    return ("kept" if (l2, l1) == (own_l2, own_l1) else "clipped"), answer.label, l2, l1


def on_a_border(answer: Placed, memory: Sequence[Placed]) -> set[int]:
    """Labels of the regions whose border is so near the centre that rounding may put it on either side."""
    near = set()
    for region in memory:
        d2, d1 = lengths(offset(region.at, answer.at))
        if min(abs(d2 - decimal(region.l2)), abs(d1 - decimal(region.l1))) < NEAR:
            near.add(region.label)
    return near


# --- Certificates to place --------------------------------------------------------------------------------

Certificate = tuple[np.ndarray, CertifiedRegion]


@st.composite
def radii_of(draw: st.DrawFn) -> float:
    """Radii of the size of the distances, many of them at or next to a distance that occurs."""
    step = draw(st.sampled_from([1, 2, 3, 4, 6, 8]))
    tie = draw(st.sampled_from([step / 255, math.sqrt(step) / 255, step / 510, math.sqrt(2 * step) / 510]))
    beside = draw(st.sampled_from([-math.inf, tie, tie, math.inf]))
    return draw(st.one_of(st.just(math.nextafter(tie, beside)), st.floats(0.0, 8 / 255)))


@st.composite
def regions_of(draw: st.DrawFn, kinds: Sequence[str], num_classes: int) -> CertifiedRegion:
    kind = draw(st.sampled_from(kinds))
    l2 = draw(radii_of()) if kind in ("l2", "hybrid") else 0.0
    l1 = draw(radii_of()) if kind in ("l1", "hybrid") else 0.0
    return CertifiedRegion(draw(st.integers(0, num_classes - 1)), l2, l1)


KINDS = (("l2",), ("l1",), ("hybrid",), ("l2", "point"), ("l2", "l1", "hybrid", "point"))


@st.composite
def certificates(draw: st.DrawFn, dtype: Any = np.uint8) -> list[Certificate]:
    """A sequence of certificates at crowded points of one dimension, of one kind or of several."""
    dimension = draw(st.sampled_from([1, 1, 2, 2, 3, 4, 8, 12]))
    kinds = draw(st.sampled_from(KINDS))
    num_classes = draw(st.integers(2, 3))
    values = st.integers(0, 4 if dimension <= 4 else 2)
    if dtype == np.float64:
        values = st.one_of(values.map(lambda step: step / 255), st.floats(0.0, 4 / 255))
    points = st.lists(values, min_size=dimension, max_size=dimension)
    one = st.tuples(points.map(lambda point: np.array(point, dtype)), regions_of(kinds, num_classes))
    return draw(st.lists(one, min_size=2, max_size=8))


def answer_from(memory: Sequence[Certificate], image: np.ndarray, region: CertifiedRegion) -> Reconciled:
    """One reconciled answer, with all of the memory as neighbours."""
    neighbours = [(stored, distance(image, at)) for at, stored in memory]
    return reconcile(region, neighbours, dimension=image.size)


def check_definition(got: Reconciled, answer: Placed, memory: Sequence[Placed]) -> None:
    """Never more than the definition allows, and never less than it needs to be."""
    with localcontext(prec=60):
        outcome, label, l2, l1 = defined(answer, memory)
        least = defined(answer, memory, reach=Fraction(NEAR))[2:]
        borders = on_a_border(answer, memory)
        radii = Decimal(got.region.l2), Decimal(got.region.l1)
        if got.region.label != label:
            assert got.region.label in borders | {answer.label}
            assert max(radii) < TOLERANCE
            return
        if not borders and got.outcome != outcome:
            assert (outcome, got.outcome) == ("kept", "clipped")  # by one float64, where they touch
        for radius, low, high in zip(radii, least, (l2, l1), strict=True):
            assert low - TOLERANCE <= radius <= max(high, Decimal(0)) + DIGITS


def check_stops_short(got: Reconciled, memory: Sequence[Certificate], image: np.ndarray) -> None:
    """The module's own test of overlap agrees that the answer overlaps nothing of another label."""
    for at, stored in memory:
        if stored.label != got.region.label and got.outcome != "relabelled":
            d = distance(image, at)
            straddling = got.region.cover == 0.0 and contains(stored, d) and not surely_contains(stored, d)
            assert straddling or not overlaps(got.region, stored, d)


def grow(sequence: Sequence[Certificate]) -> None:
    """Place all of them one after the other, and hold each step against the oracle."""
    memory: list[Certificate] = []
    oracle: list[Placed] = []
    for image, region in sequence:
        answer = place(image, region)
        try:
            got = answer_from(memory, image, region)
        except Undecidable:
            with localcontext(prec=60):
                assert len(on_a_border(answer, oracle)) > 1
            continue
        check_definition(got, answer, oracle)
        check_stops_short(got, memory, image)
        placed = place(image, got.region)
        clashes = [stored for stored in oracle if stored.label != placed.label and intersect(stored, placed)]
        assert not clashes
        memory.append((image, got.region))
        oracle.append(placed)


@lightly
@given(sequence=certificates())
def test_no_two_regions_of_different_label_ever_overlap(sequence: list[Certificate]) -> None:
    """Any certificates in any order, of pixels."""
    grow(sequence)


@lightly
@given(sequence=certificates(dtype=np.float64))
def test_nor_do_they_round_real_points(sequence: list[Certificate]) -> None:
    """The same of float64 images, whose distances are known less well."""
    grow(sequence)


@lightly
@given(sequence=certificates())
def test_overlap_is_never_denied(sequence: list[Certificate]) -> None:
    """Sets with a common point are always found; two balls of one norm only if they have one, ties aside."""
    for (x, a), (y, b) in combinations(sequence, 2):
        d, truth = distance(x, y), intersect(place(x, a), place(y, b))
        assert overlaps(a, b, d) == overlaps(b, a, d)
        assert overlaps(a, b, d) or not truth
        gaps = abs(d.l2_low - a.l2 - b.l2), abs(d.l1_low - a.l1 - b.l1)
        if (a.l1 == b.l1 == 0.0 or a.l2 == b.l2 == 0.0) and min(gaps) > 1e-13:
            assert overlaps(a, b, d) == truth


# --- Distances and what is left of a region ----------------------------------------------------------------


@lightly
@given(sequence=st.one_of(certificates(), certificates(np.float64)))
def test_intervals_hold_the_true_distance_and_are_narrow(sequence: list[Certificate]) -> None:
    """Exactly, by squares; for pixels no float64 lies inside, and equal points are at distance 0."""
    (x, _), (y, _) = sequence[:2]
    d, v = distance(x, y), offset(exact(x), exact(y))
    assert d == distance(y, x)
    assert Fraction(d.l2_low) ** 2 <= square(v) <= Fraction(d.l2_high) ** 2
    assert d.l1_low <= norm1(v) <= d.l1_high
    assert (d.l2_high == 0.0) == (d.l1_high == 0.0) == (norm1(v) == 0)
    for low, high in ((d.l2_low, d.l2_high), (d.l1_low, d.l1_high)):
        widest = math.nextafter(low, math.inf) if x.dtype == np.uint8 else low * (1 + 1e-14) + 1e-300
        assert high <= widest


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (150_528,)])
def test_distances_of_whole_images(shape: tuple[int, ...]) -> None:
    """Against Python's integers, at the sizes where a narrow accumulator would wrap."""
    x, y = np.random.default_rng(1).integers(0, 256, (2, *shape), dtype=np.uint8)
    steps = [abs(a - b) for a, b in zip(x.ravel().tolist(), y.ravel().tolist(), strict=True)]
    pixels, reals = distance(x, y), distance(x / 255, y / 255)
    assert Fraction(pixels.l2_low) ** 2 <= Fraction(sum(s * s for s in steps), 255**2)
    assert Fraction(pixels.l2_high) ** 2 >= Fraction(sum(s * s for s in steps), 255**2)
    assert pixels.l1_low <= Fraction(sum(steps), 255) <= pixels.l1_high
    assert reals.l2_low == pytest.approx(pixels.l2_low, rel=1e-12)
    assert reals.l1_low == pytest.approx(pixels.l1_low, rel=1e-12)


@pytest.mark.parametrize("size", [3, 48, 127])
def test_rounding_of_each_difference_counts(size: int) -> None:
    """Every difference is rounded towards 0 by as much as can be; the true distance stays inside."""
    x, y = np.full(size, 0.75), np.full(size, 0.25 - 2.0**-54)
    d, truth = distance(x, y), square(offset(exact(x), exact(y)))
    assert Fraction(math.nextafter(math.dist(x, y), math.inf)) ** 2 < truth
    assert Fraction(d.l2_low) ** 2 <= truth <= Fraction(d.l2_high) ** 2


def test_distances_of_the_smallest_and_of_far_floats() -> None:
    """Squares that would vanish or overflow do neither."""
    tiny, huge = np.array([5e-324, 0.0]), np.array([1e300, 1e300])
    assert distance(tiny, np.zeros(2)).l2_high >= 5e-324
    assert distance(huge, np.zeros(2)).l2_low == pytest.approx(math.sqrt(2) * 1e300)


@lightly
@given(sequence=certificates())
def test_what_remains_lies_inside(sequence: list[Certificate]) -> None:
    """Each ball that is left lies in one of the region's: its extreme points do, in exact numbers."""
    (x, region), (y, _) = sequence[:2]
    left, held = remaining(region, distance(x, y), dimension=x.size), place(x, region)
    v, d = offset(exact(x), exact(y)), x.size
    l2, l1 = Fraction(left.l2), Fraction(left.l1)
    assert left.label == region.label
    in_l2_ball = l2 <= held.l2 and square(v) <= (held.l2 - l2) ** 2
    assert l2 == 0 or in_l2_ball or (norm1(v) <= held.l1 and l2**2 * d <= (held.l1 - norm1(v)) ** 2)
    vertices = [tuple(a + l1 * (i == j) for i, a in enumerate(v)) for j in range(d)]
    in_l2_ball = all(square(vertex) <= held.l2**2 for vertex in vertices)
    assert l1 == 0 or in_l2_ball or norm1(v) + l1 <= held.l1


# --- Examples -----------------------------------------------------------------------------------------------


def pixels(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.uint8)


def at(length: float) -> Distance:
    """A known distance along an axis, the same in both norms."""
    return Distance(length, length, length, length)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (CertifiedRegion(0, l2=1.0), CertifiedRegion(1, l2=0.25)),
        (CertifiedRegion(0, l2=0.125), CertifiedRegion(1, l2=0.125)),
        (CertifiedRegion(0, l1=1.0), CertifiedRegion(1, l1=0.25)),
        (CertifiedRegion(0, l2=1.0, l1=0.125), CertifiedRegion(1, l2=0.25, l1=0.125)),
        (CertifiedRegion(0), CertifiedRegion(1)),
    ],
)
def test_a_point_inside_a_region_of_another_label(answer: CertifiedRegion, expected: CertifiedRegion) -> None:
    """It takes the label and what is left of the region, but never more than it had; far regions do nothing."""
    far = (CertifiedRegion(0, l2=0.125), at(4.0))
    got = reconcile(answer, [far, (CertifiedRegion(1, l2=0.5), at(0.25))], dimension=4)
    assert got == Reconciled(expected, "relabelled", (1,))


def test_the_deepest_of_several_regions_counts() -> None:
    """In each norm by itself: one holds the larger ℓ2 ball, another the larger ℓ1 ball."""
    neighbours = [
        (CertifiedRegion(1, l2=0.75), at(0.5)),
        (CertifiedRegion(2, l2=0.1), at(0.6)),
        (CertifiedRegion(1, l1=0.875), at(0.5)),
    ]
    got = reconcile(CertifiedRegion(0, l2=1.0, l1=1.0), neighbours, dimension=4)
    assert got == Reconciled(CertifiedRegion(1, l2=0.25, l1=0.375), "relabelled", (0, 2))


def test_inside_the_l1_ball_alone() -> None:
    """Of a hybrid region whose ℓ2 ball ends before; an ℓ2 ball in an ℓ1 ball pays √dimension."""
    held = CertifiedRegion(1, l2=0.125, l1=1.0)
    got = reconcile(CertifiedRegion(0, l2=0.5, l1=0.5), [(held, at(0.5))], dimension=16)
    assert got == Reconciled(CertifiedRegion(1, l2=0.125, l1=0.5), "relabelled", (0,))
    ball = reconcile(CertifiedRegion(0, l2=0.5), [(held, at(0.5))], dimension=2).region
    assert ball.l2 == pytest.approx(0.5 / math.sqrt(2), abs=1e-15)
    assert 2 * Fraction(ball.l2) ** 2 < Fraction(1, 4)


def test_the_same_point_again_with_another_label() -> None:
    """What was answered first stands, with the smaller radii; also where both are mere points."""
    same = distance(pixels(1, 2), pixels(1, 2))
    assert reconcile(
        CertifiedRegion(0, l2=0.5), [(CertifiedRegion(1, l2=0.25), same)], dimension=2
    ).region == CertifiedRegion(1, l2=0.25)
    assert reconcile(CertifiedRegion(0), [(CertifiedRegion(1), same)], dimension=2) == Reconciled(
        CertifiedRegion(1), "relabelled", (0,)
    )


def test_touching_is_overlap() -> None:
    """One float64 less is enough, and one less than that already does no harm."""
    d, stored = distance(pixels(0), pixels(255)), CertifiedRegion(1, l2=0.5)
    assert overlaps(CertifiedRegion(0, l2=0.5), stored, d)
    below = math.nextafter(0.5, 0.0)
    assert reconcile(CertifiedRegion(0, l2=0.5), [(stored, d)], dimension=1) == Reconciled(
        CertifiedRegion(0, l2=below), "clipped", (0,)
    )
    assert reconcile(CertifiedRegion(0, l2=below), [(stored, d)], dimension=1).outcome == "kept"


def test_the_border_belongs_to_the_region() -> None:
    """A point on it takes the label, with nothing left."""
    got = reconcile(
        CertifiedRegion(0, l2=0.5),
        [(CertifiedRegion(1, l2=1.0), distance(pixels(0), pixels(255)))],
        dimension=1,
    )
    assert got == Reconciled(CertifiedRegion(1), "relabelled", (0,))


def test_a_pocket_between_three_labels() -> None:
    """All that overlap are decisive, and the nearest decides the radius."""
    neighbours = [
        (CertifiedRegion(0, l2=0.25), at(1.0)),
        (CertifiedRegion(1, l2=0.5), at(0.75)),
        (CertifiedRegion(2, l2=9.0), at(0.5)),
    ]
    got = reconcile(CertifiedRegion(2, l2=1.0), neighbours, dimension=3)
    assert got == Reconciled(CertifiedRegion(2, l2=math.nextafter(0.25, 0.0)), "clipped", (0, 1))


def test_kinds_decide_how_far_a_ball_may_reach() -> None:
    """Two ℓ1 balls by their ℓ1 distance, different kinds by the balls round them."""
    d = distance(pixels(0, 0), pixels(153, 204))  # 3-4-5: 1.0 in ℓ2, 1.4 in ℓ1
    flat = reconcile(CertifiedRegion(0, l1=2.0), [(CertifiedRegion(1, l1=0.5), d)], dimension=2)
    assert flat.region.l1 == pytest.approx(0.9)
    mixed = reconcile(CertifiedRegion(0, l1=2.0), [(CertifiedRegion(1, l2=0.5), d)], dimension=2)
    assert mixed.region.l1 == math.nextafter(0.5, 0.0)
    assert overlaps(CertifiedRegion(0, l1=0.5), CertifiedRegion(1, l1=0.5), at(1.0))
    assert not overlaps(CertifiedRegion(0, l1=0.5), CertifiedRegion(1, l1=math.nextafter(0.5, 0.0)), at(1.0))
    hybrid = reconcile(
        CertifiedRegion(0, l2=0.25, l1=2.0), [(CertifiedRegion(1, l2=0.125, l1=0.5), d)], dimension=2
    )
    assert hybrid.region == CertifiedRegion(0, l2=0.25, l1=math.nextafter(0.5, 0.0))
    inside_the_cover = reconcile(CertifiedRegion(0, l2=0.25), [(CertifiedRegion(1, l1=1.25), d)], dimension=2)
    assert inside_the_cover == Reconciled(CertifiedRegion(0), "clipped", (0,))


def test_points_without_a_radius() -> None:
    """They overlap what contains them, and stay as they are elsewhere."""
    point = CertifiedRegion(0)
    assert reconcile(point, [(CertifiedRegion(1, l2=0.5), at(0.75))], dimension=2) == Reconciled(
        point, "kept", ()
    )
    assert overlaps(point, CertifiedRegion(1, l1=0.5), at(0.5))
    assert not overlaps(point, CertifiedRegion(1), at(0.5))
    assert overlaps(point, CertifiedRegion(1), at(0.0))
    met = reconcile(CertifiedRegion(0, l2=1.0), [(CertifiedRegion(1), at(0.75))], dimension=2)
    assert met == Reconciled(CertifiedRegion(0, l2=math.nextafter(0.75, 0.0)), "clipped", (0,))


def test_regions_of_the_own_label_change_nothing() -> None:
    """Wherever they are; and with no neighbours at all."""
    neighbours = [
        (CertifiedRegion(3, l2=1.0), at(0.5)),
        (CertifiedRegion(3, l1=1.0), at(0.0)),
        (CertifiedRegion(3), at(0.0)),
    ]
    answer = CertifiedRegion(3, l2=0.7, l1=0.2)
    assert reconcile(answer, neighbours, dimension=2) == Reconciled(answer, "kept", ())
    assert reconcile(answer, [], dimension=2) == Reconciled(answer, "kept", ())


BORDER = Distance(0.5, 0.75, 0.5, 0.75)  # a region of radius 0.625 may hold the point or not


def test_rounding_at_a_border_of_another_label() -> None:
    """If it is the only region that may hold the point, its label is taken and nothing is left."""
    got = reconcile(CertifiedRegion(0, l2=0.5), [(CertifiedRegion(1, l2=0.625), BORDER)], dimension=2)
    assert got == Reconciled(CertifiedRegion(1), "relabelled", (0,))


@pytest.mark.parametrize(
    "answer", [CertifiedRegion(0, l2=0.5), CertifiedRegion(0, l2=0.5, l1=0.25), CertifiedRegion(0, l1=0.25)]
)
def test_surely_inside_the_own_label_at_a_border_of_another(answer: CertifiedRegion) -> None:
    """The label stays, and every ball ends at the border."""
    neighbours = [(CertifiedRegion(1, l2=0.625), BORDER), (CertifiedRegion(0, l2=1.0), at(0.25))]
    assert reconcile(answer, neighbours, dimension=2) == Reconciled(CertifiedRegion(0), "clipped", (0,))
    assert reconcile(CertifiedRegion(0), neighbours, dimension=2) == Reconciled(
        CertifiedRegion(0), "kept", ()
    )


def test_surely_inside_one_label_at_a_border_of_another() -> None:
    """The point takes the label that is sure, though a third and its own may hold it too."""
    border, sure = (CertifiedRegion(2, l2=0.625), BORDER), (CertifiedRegion(1, l2=1.0), at(0.25))
    got = reconcile(
        CertifiedRegion(0, l2=0.5), [border, (CertifiedRegion(0, l2=0.625), BORDER), sure], dimension=2
    )
    assert got == Reconciled(CertifiedRegion(1, l2=0.5), "relabelled", (2,))


@pytest.mark.parametrize("own", [0, 1, 2])
def test_two_borders_are_undecidable(own: int) -> None:
    """Whether or not one of them has the answer's own label."""
    neighbours = [(CertifiedRegion(1, l2=0.625), BORDER), (CertifiedRegion(2, l1=0.625), BORDER)]
    with pytest.raises(Undecidable, match=r"^regions 0 \(label 1\), 1 \(label 2\) may contain the point"):
        reconcile(CertifiedRegion(own, l2=0.5), neighbours, dimension=2)


@pytest.mark.parametrize("own", [0, 1, 2])
def test_a_broken_invariant_is_named(own: int) -> None:
    """A memory that nobody should have is not papered over; the answer's own label is no excuse."""
    neighbours = [
        (CertifiedRegion(0, l2=0.1), at(0.5)),
        (CertifiedRegion(1, l2=1.0), at(0.5)),
        (CertifiedRegion(2, l1=1.0), at(0.75)),
    ]
    with pytest.raises(BrokenInvariant, match=r"^regions 1 \(label 1\), 2 \(label 2\) overlap") as caught:
        reconcile(CertifiedRegion(own, l2=0.5), neighbours, dimension=2)
    assert isinstance(caught.value, SmoothingError)


# --- The oracle can fail ------------------------------------------------------------------------------------


def test_the_oracle_sees_a_radius_that_is_not_rounded_down() -> None:
    """Plain float64 arithmetic, or the upper bound of the distance, goes too far by less than 1e-17."""
    x, y, stored = pixels(0, 0), pixels(1, 3), CertifiedRegion(1, l2=2 / 255)
    d, theirs = distance(x, y), place(y, stored)
    assert d.l2_low < d.l2_high

    def reaches(radius: float) -> bool:
        return intersect(place(x, CertifiedRegion(0, l2=radius)), theirs)

    beyond = Distance(d.l2_high, d.l2_high, d.l1_high, d.l1_high)
    assert reaches(math.sqrt(10) / 255 - stored.l2)
    assert reaches(reconcile(CertifiedRegion(0, l2=1.0), [(stored, beyond)], dimension=2).region.l2)
    radius = reconcile(CertifiedRegion(0, l2=1.0), [(stored, d)], dimension=2).region.l2
    assert not reaches(radius)
    assert reaches(radius + 2e-17)


def test_the_oracle_sees_too_much_left_of_a_region() -> None:
    """The lower bound of the distance leaves a ball that sticks out."""
    x, y, region = pixels(0, 0), pixels(1, 3), CertifiedRegion(1, l2=5 / 255)
    d, v = distance(x, y), offset(exact(x), exact(y))

    def sticks_out(radius: float) -> bool:
        return square(v) > (Fraction(region.l2) - Fraction(radius)) ** 2

    before = Distance(d.l2_low, d.l2_low, d.l1_low, d.l1_low)
    assert sticks_out(remaining(region, before, dimension=2).l2)
    assert not sticks_out(remaining(region, d, dimension=2).l2)


def test_the_oracle_tells_balls_of_different_kinds_apart() -> None:
    """An ℓ2 ball beside a face of an ℓ1 ball: apart, touching, and overlapping, in exact numbers."""
    face = Placed((Fraction(0), Fraction(0)), 0, Fraction(0), Fraction(1))
    centre = (Fraction(4, 5), Fraction(4, 5))  # (0.3, 0.3) from the face's middle: a distance of 0.3·√2
    for radius, expected in ((Fraction(42, 100), False), (Fraction(43, 100), True)):
        assert intersect(Placed(centre, 1, radius, Fraction(0)), face) == expected
    corner = Placed((Fraction(2), Fraction(0)), 1, Fraction(1), Fraction(0))
    assert intersect(face, corner)


# --- Refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label": -1}, "'label' must be an integer >= 0, got -1"),
        ({"label": 1.0}, r"'label' must be an integer >= 0, got 1\.0"),
        ({"label": 0, "l2": -0.1}, "'l2' must be finite and >= 0, got -0.1"),
        ({"label": 0, "l1": math.inf}, "'l1' must be finite and >= 0, got inf"),
        ({"label": 0, "l2": math.nan}, "'l2' must be finite and >= 0, got nan"),
    ],
)
def test_bad_regions_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        CertifiedRegion(**arguments)


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ((0.5, 0.25, 0.5, 0.5), r"'l2' must be an interval in \[0, inf\)"),
        ((-0.5, 0.25, 0.5, 0.5), "'l2' must be an interval"),
        ((0.0, 0.25, 0.5, math.inf), "'l1' must be an interval"),
        ((0.0, math.nan, 0.0, 0.5), "'l2' must be an interval"),
        ((0.5, 0.5, 0.25, 0.5), "'l1' must have no bound below that of l2"),
    ],
)
def test_bad_distances_are_refused(bounds: tuple[float, float, float, float], message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        Distance(*bounds)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (pixels(1, 2), pixels(1), r"'y' must have the shape \(2,\) of 'x', got \(1,\)"),
        (pixels(1), np.zeros(1), "'y' must be uint8 as 'x' is, got 'float64'"),
        (np.zeros(1), pixels(1), "'y' must be float64 as 'x' is, got 'uint8'"),
        (np.zeros(1, np.float32), np.zeros(1, np.float32), "'x' must be uint8 or float64, got 'float32'"),
        (np.zeros(1, np.int64), np.zeros(1, np.int64), "'x' must be uint8 or float64, got 'int64'"),
        (pixels(), pixels(), r"'x' must not be empty, got \(0,\)"),
        (np.array([math.nan]), np.zeros(1), "'x' must be finite"),
        (np.zeros(1), np.array([math.inf]), "'y' must be finite"),
    ],
)
def test_bad_points_are_refused(x: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        distance(x, y)


def test_a_point_has_coordinates() -> None:
    with pytest.raises(InvalidParameter, match="'dimension' must be >= 1, got 0"):
        reconcile(CertifiedRegion(0), [], dimension=0)
    with pytest.raises(InvalidParameter, match="'dimension' must be >= 1, got 0"):
        remaining(CertifiedRegion(0), at(0.0), dimension=0)
