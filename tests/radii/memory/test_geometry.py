"""Whether regions overlap, against bisection in floats, and all pairs against one by one."""

import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from radii.memory import pairs
from radii.memory.geometry import Balls, smallest_gap
from radii.memory.pairs import Regions, compare, pairs_in_all
from tests.properties import examples

RADII = st.sampled_from([0.0, 1 / 512, 0.01, 0.25, 0.5, 1.0, 1.5]) | st.floats(0, 3)
STEPS = st.lists(st.integers(0, 255), min_size=1, max_size=6)


def distance_to_l1_ball(steps: NDArray[np.int64], radius: float) -> float:
    """The ℓ2 distance of a point from an ℓ1 ball, in pixel units, by bisection of the threshold."""
    offsets = steps / 255
    low, high = 0.0, float(offsets.max(initial=0.0))
    for _ in range(200):
        middle = (low + high) / 2
        if np.maximum(offsets - middle, 0).sum() > radius:
            low = middle
        else:
            high = middle
    return float(np.linalg.norm(np.minimum(offsets, high)))


@examples(300)
@given(STEPS, RADII, RADII, RADII, RADII)
def test_gaps_are_those_of_four_pairs_of_balls(
    offsets: list[int], l2: float, l1: float, other_l2: float, other_l1: float
) -> None:
    """Where float64 can tell: the smallest of ℓ2 to ℓ2, ℓ1 to ℓ1, and of each with the other."""
    steps = np.array(offsets, dtype=np.int64)
    euclidean, manhattan = float(np.linalg.norm(steps)) / 255, float(steps.sum()) / 255
    gaps = [euclidean - l2 - other_l2, manhattan - l1 - other_l1]
    gaps.append(distance_to_l1_ball(steps, other_l1) - l2)
    gaps.append(distance_to_l1_ball(steps, l1) - other_l2)
    assume(min(map(abs, gaps)) > 1e-9)
    gap = smallest_gap(steps, Balls.of_radii(l2, l1), Balls.of_radii(other_l2, other_l1))
    assert gap.overlaps is (min(gaps) < 0)
    if not gap.overlaps:
        assert gap.size >= min(gaps) - 1e-9
    assert gap == smallest_gap(steps, Balls.of_radii(other_l2, other_l1), Balls.of_radii(l2, l1))


@given(STEPS, st.floats(0, 3))
def test_the_radius_that_touches_is_found_exactly(offsets: list[int], radius: float) -> None:
    """In ℓ1 by fractions; a float above it overlaps, a float below it does not."""
    steps = np.array(offsets, dtype=np.int64)
    total = Fraction(int(steps.sum()), 255)
    rest = float(total) - radius
    assume(rest >= 0)
    for l1 in (rest, math.nextafter(rest, 9), max(0.0, math.nextafter(rest, -9))):
        gap = smallest_gap(steps, Balls.of_radii(0, radius), Balls.of_radii(0, l1))
        assert gap.overlaps is (Fraction(l1) + Fraction(radius) >= total)


@pytest.mark.parametrize("huge", [1e12, 1e200, 1.7e308])
def test_huge_radii_overlap(huge: float) -> None:
    """They are finite, so they may be stored; what they are in steps of 1/255 may be no float."""
    steps = np.array([255], dtype=np.int64)
    for balls in (Balls.of_radii(huge, 0), Balls.of_radii(0, huge), Balls.of_radii(huge, huge)):
        assert smallest_gap(steps, balls, balls).overlaps
        centers = np.array([[0], [255]], dtype=np.uint8)
        numbers = np.arange(2)
        found = compare(Regions([0, 1], numbers, numbers, centers, [balls, balls]))
        assert len(found.overlapping) == 1


@pytest.mark.parametrize("seed", range(5))
def test_all_pairs_are_compared_once(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks, most of them by numbers, as one by one and exactly."""
    monkeypatch.setattr(pairs, "_BLOCK", 7)
    random = np.random.default_rng(seed)
    n = 60
    centers = random.integers(0, 256, (20, 3), dtype=np.uint8)
    labels, rows = random.integers(0, 3, n), random.integers(0, 20, n)
    scale = 0.4 / (1 + seed)
    balls = [Balls.of_radii(*(random.choice([0.0, 1.0], 2) * random.random(2) * scale)) for _ in range(n)]
    told: list[int] = []
    found = compare(Regions(range(0, 2 * n, 2), labels, rows, centers, balls), told.append)
    wanted = {
        (i, j): smallest_gap(np.abs(centers[rows[i]].astype(np.int64) - centers[rows[j]]), balls[i], balls[j])
        for i, j in combinations(range(n), 2)
        if labels[i] != labels[j]
    }
    overlapping = {(2 * i, 2 * j) for (i, j), gap in wanted.items() if gap.overlaps}
    assert {(pair.first, pair.second) for pair in found.overlapping} == overlapping
    assert len(found.overlapping) == len(overlapping) > 0
    assert found.pairs == len(wanted)
    assert sum(told) == pairs_in_all(n)
    assert found.nearest is not None
    assert found.nearest.gap.size == pytest.approx(min(gap.size for gap in wanted.values()))


def test_no_pair_has_no_gap() -> None:
    """Nothing is said to be near where nothing was compared."""
    none = np.array([], dtype=np.int64)
    empty = compare(Regions([], none, none, np.zeros((0, 1), dtype=np.uint8), []))
    assert (empty.pairs, empty.nearest, empty.overlapping) == (0, None, [])
