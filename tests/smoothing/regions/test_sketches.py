"""Sketches: block sums against slices, bounds against exact distances, and no neighbour lost."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from smoothing.errors import InvalidParameter
from smoothing.regions.sketches import BlockGrid, l2_lower_bounds, l2_within
from tests.properties import examples

SHAPES = [(1, 5, 7), (3, 2, 1), (1, 1, 1), (2, 4, 4), (3, 9, 6)]
lightly = examples(200)
Images = NDArray[np.uint8]


def steps(images: Images, image: Images) -> list[list[int]]:
    """Differences in steps of 1/255, as Python's integers."""
    return [np.abs(other.astype(int) - image).ravel().tolist() for other in images]


def exact_squared_l2(images: Images, image: Images) -> list[Fraction]:
    return [Fraction(sum(step * step for step in row), 255**2) for row in steps(images, image)]


def noise(shape: tuple[int, ...], seed: int = 0) -> Images:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def constant_on_blocks(grid: BlockGrid, cells: int, seed: int) -> Images:
    """An image whose pixels are equal within each block, made without the grid's cuts."""
    channels, height, width = grid.shape
    rows = np.searchsorted(
        [height * i // min(cells, height) for i in range(1, cells)], range(height), "right"
    )
    columns = np.searchsorted(
        [width * i // min(cells, width) for i in range(1, cells)], range(width), "right"
    )
    return noise((channels, cells, cells), seed)[:, rows][:, :, columns]


@st.composite
def crowds(draw: st.DrawFn) -> tuple[BlockGrid, Images]:
    """A grid and a few images of its shape: noise, near copies, flat ones, the extremes."""
    shape = draw(st.sampled_from(SHAPES))
    grid = BlockGrid(shape, draw(st.integers(1, 9)))
    base = noise(shape, draw(st.integers(0, 99)))
    kinds = draw(st.lists(st.sampled_from(["noise", "near", "flat", "white"]), min_size=1, max_size=6))
    made = {
        "noise": lambda seed: noise(shape, seed),
        "near": lambda seed: np.bitwise_xor(base, noise(shape, seed) >> 6),
        "flat": lambda seed: np.full(shape, seed % 256, np.uint8),
        "white": lambda seed: np.full(shape, 255, np.uint8),
    }
    return grid, np.stack([base, *(made[kind](draw(st.integers(0, 999))) for kind in kinds)])


@lightly
@given(crowd=crowds(), dtype=st.sampled_from([np.int32, np.int64, np.uint16, np.float32]))
def test_bounds_never_exceed_the_distances(crowd: tuple[BlockGrid, Images], dtype: Any) -> None:
    """In exact numbers, whatever type the sums are kept in; an image is at distance 0 from itself."""
    grid, images = crowd
    sums = grid.sketch(images).astype(dtype)
    l2 = l2_lower_bounds(sums, sums[:, 0], grid.counts)
    assert l2.dtype == np.float32
    assert l2[0] == 0.0
    for bound, truth in zip(l2.tolist(), exact_squared_l2(images, images[0]), strict=True):
        assert Fraction(bound) ** 2 <= truth


@lightly
@given(shape=st.sampled_from(SHAPES), cells=st.integers(1, 9), seed=st.integers(0, 999))
def test_bounds_are_the_distances_of_images_constant_on_blocks(
    shape: tuple[int, int, int], cells: int, seed: int
) -> None:
    """Up to what rounding takes off, and not one float32 beyond."""
    grid = BlockGrid(shape, cells)
    images = np.stack([constant_on_blocks(grid, cells, seed), constant_on_blocks(grid, cells, seed + 1)])
    sums = grid.sketch(images)
    l2 = float(l2_lower_bounds(sums, sums[:, 0], grid.counts)[1])
    squared = exact_squared_l2(images, images[0])[1]
    assert Fraction(l2) ** 2 <= squared
    assert l2 == pytest.approx(math.sqrt(squared), rel=2e-5)


def test_rounding_is_taken_off_where_it_would_show() -> None:
    """Among many equalities some would round up; none may, however many blocks are summed."""
    rng = np.random.default_rng(3)
    for cells in (1, 4, 16):
        grid = BlockGrid((1, 16, 16), cells)
        levels = rng.integers(0, 256, (500, 1, cells, cells), dtype=np.uint8)
        images = levels.repeat(16 // cells, axis=2).repeat(16 // cells, axis=3)
        sums = grid.sketch(images)
        l2 = l2_lower_bounds(sums, sums[:, 0], grid.counts)
        squared = exact_squared_l2(images, images[0])
        assert all(Fraction(bound) ** 2 <= truth for bound, truth in zip(l2.tolist(), squared, strict=True))


@lightly
@given(crowd=crowds(), near=st.floats(0.0, 1.5), each=st.booleans())
def test_no_neighbour_is_lost(crowd: tuple[BlockGrid, Images], near: float, each: bool) -> None:
    """All at most as far as their limit are found, at ties too, and what is found has such a bound."""
    grid, images = crowd
    sums = grid.sketch(images)
    distances = [math.sqrt(square) for square in exact_squared_l2(images, images[0])]
    at_ties = np.nextafter(np.array(distances, dtype=np.float32), np.float32(np.inf))
    limits: Any = at_ties * (near >= 1.0) if each else near * max(distances)
    found = l2_within(sums, sums[:, 0], grid.counts, limits)
    assert found.dtype == np.int64
    limit = np.broadcast_to(np.asarray(limits, dtype=np.float64), len(images))
    bounds = l2_lower_bounds(sums, sums[:, 0], grid.counts)
    assert np.array_equal(found, np.flatnonzero(bounds <= limit))
    assert set(np.flatnonzero(np.array(distances) <= limit)) <= set(found.tolist())


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_parts_join_without_a_seam(dtype: Any) -> None:
    """More images than fit into one buffer, beside NumPy at once; also as a view of a larger memory."""
    rng = np.random.default_rng(5)
    counts = np.array([256, 240, 256, 225, 7], dtype=np.int64)
    memory = rng.integers(0, 255 * counts[:, None], (5, 200_000)).astype(dtype)
    sums, sketch = memory[:, :150_001], memory[:, 77]
    differences = sums.astype(np.float64) - sketch[:, None]
    l2 = np.sqrt((differences**2 / counts[:, None]).sum(axis=0)) / 255
    assert np.allclose(l2_lower_bounds(sums, sketch, counts), l2, rtol=1e-5)
    limits = rng.permutation(l2).astype(np.float32)
    bounds = l2_lower_bounds(sums, sketch, counts)
    assert np.array_equal(l2_within(sums, sketch, counts, limits), np.flatnonzero(bounds <= limits))
    found = l2_within(sums, sketch, counts, 5.0)
    assert np.array_equal(found, np.flatnonzero(bounds <= 5.0))
    assert 77 in found


def test_huge_blocks_are_exact() -> None:
    """Sums beyond 2**24 that differ by one: float32 would round the sums, and so the difference, up."""
    counts = np.array([2**23], dtype=np.int64)
    sums = np.array([[2**24 + 3, 2**24 + 1, 2**31 - 1, 2**31 - 2**23]], dtype=np.int32)
    l2 = l2_lower_bounds(sums, sums[:, 0], counts)
    apart = np.abs(sums[0].astype(np.int64) - int(sums[0, 0])).tolist()
    for bound, gap in zip(l2.tolist(), apart, strict=True):
        assert Fraction(bound) ** 2 <= Fraction(gap**2, 255**2 * 2**23)
        assert bound == pytest.approx(gap / 255 / 2**11.5, rel=1e-5)
    assert l2_within(sums, sums[:, 0], counts, 1e-5).tolist() == [0, 1]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("cells", [1, 2, 3, 8])
def test_blocks_tile_the_image(shape: tuple[int, int, int], cells: int) -> None:
    """Each pixel is in one block, sizes differ by a row and a column at most, and sums are those of slices."""
    grid, (channels, height, width) = BlockGrid(shape, cells), shape
    rows, columns = min(cells, height), min(cells, width)
    assert grid.size == len(grid.counts) == channels * rows * columns
    assert grid.counts.dtype == np.int64
    assert grid.counts.sum() == channels * height * width
    assert {int(c) for c in grid.counts} <= {
        (height // rows + a) * (width // columns + b) for a in (0, 1) for b in (0, 1)
    }
    images = noise((300, *shape), seed=2)
    sums = grid.sketch(images)
    assert sums.dtype == np.int32
    assert sums.flags.c_contiguous
    blocks = [
        channel_rows[..., slice(width * j // columns, width * (j + 1) // columns)]
        for channel in range(channels)
        for i in range(rows)
        for channel_rows in [images[:, channel, slice(height * i // rows, height * (i + 1) // rows)]]
        for j in range(columns)
    ]
    assert grid.counts.tolist() == [block[0].size for block in blocks]
    assert np.array_equal(sums, [block.sum(axis=(1, 2), dtype=np.int64) for block in blocks])


def test_no_images_are_no_bounds() -> None:
    """An empty memory is a memory."""
    grid = BlockGrid((1, 4, 4), 2)
    sums, sketch = grid.sketch(noise((0, 1, 4, 4))), grid.sketch(noise((1, 1, 4, 4)))[:, 0]
    assert sums.shape == (4, 0)
    assert l2_lower_bounds(sums, sketch, grid.counts).shape == (0,)
    found = l2_within(sums, sketch, grid.counts, np.empty(0, np.float32))
    assert (found.shape, found.dtype) == ((0,), np.int64)


@pytest.mark.parametrize(
    ("shape", "cells", "message"),
    [
        ((1, 4), 2, r"'shape' must be three numbers >= 1, got \(1, 4\)"),
        ((1, 0, 4), 2, "'shape' must be three numbers >= 1"),
        ((1, 4, 4), 0, "'cells' must be >= 1, got 0"),
        ((1, 4096, 4096), 1, r"'cells' must leave a block at most 2\*\*23 pixels, got 1"),
    ],
)
def test_impossible_grids_are_refused(shape: Any, cells: int, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        BlockGrid(shape, cells)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 1, 4, 4)), "'images' must be uint8, got 'float64'"),
        (
            np.zeros((1, 4, 4), np.uint8),
            r"'images' must have the shape \(m, 1, 4, 4\), got \(1, 4, 4\)",
        ),
        (np.zeros((2, 1, 4, 5), np.uint8), "'images' must have the shape"),
    ],
)
def test_other_images_are_refused(images: Any, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        BlockGrid((1, 4, 4), 2).sketch(images)


SUMS, SKETCH, COUNTS = np.zeros((2, 3), np.int32), np.zeros(2, np.int32), np.ones(2, np.int64)


@pytest.mark.parametrize(
    ("sketches", "sketch", "counts", "message"),
    [
        (SUMS[0], SKETCH, COUNTS, r"'sketches' must have 2 axes, the first of length 2, got \(3,\)"),
        (SUMS[:1], SKETCH, COUNTS, "'sketches' must have 2 axes, the first of length 2"),
        (SUMS, SKETCH[:1], COUNTS, "'sketch' must have 1 axes, the first of length 2"),
        (SUMS, SUMS, COUNTS, "'sketch' must have 1 axes"),
        (SUMS.astype(float), SKETCH, COUNTS, "'sketches' must be of integers or float32, got 'float64'"),
        (SUMS, SKETCH.astype(float), COUNTS, "'sketch' must be of integers or float32"),
        (SUMS, SKETCH, COUNTS[:0], r"'counts' must have the shape \(k,\)"),
        (SUMS, SKETCH, COUNTS * 0, r"'counts' must be in 1\.\.2\*\*23, got \(0, 0\)"),
        (SUMS, SKETCH, COUNTS * 2**24, "'counts' must be in"),
        (SUMS.astype(np.float32), SKETCH, COUNTS * 70_000, "'sketches' must be of integers, for float32"),
        (SUMS, SKETCH.astype(np.float32), COUNTS * 70_000, "'sketch' must be of integers, for float32"),
    ],
)
def test_sums_that_do_not_match_are_refused(sketches: Any, sketch: Any, counts: Any, message: str) -> None:
    for bounds in (l2_lower_bounds, lambda *sums: l2_within(*sums, 1.0)):
        with pytest.raises(InvalidParameter, match=message):
            bounds(sketches, sketch, counts)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (np.ones(2, np.float32), r"'limits' must have the shape \(\) or \(3,\), got \(2,\)"),
        (math.nan, "'limits' must not be NaN"),
        (np.array([1.0, math.nan, 1.0]), "'limits' must not be NaN"),
    ],
)
def test_bad_limits_are_refused(limits: Any, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        l2_within(SUMS, SKETCH, COUNTS, limits)
