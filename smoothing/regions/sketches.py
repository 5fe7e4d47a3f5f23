"""Lower bounds on the ℓ2 distance of images from a few block sums of each.

The sketch of an image is the vector of the sums of its pixels over the blocks of a coarse grid. Many sketches
fit where the images do not, and most images are known to be far away without being read.

With S_b the sum of x − y over a block b, the Cauchy–Schwarz inequality in each block, S_b² = ⟨1, x − y⟩_b² ≤
|b|·‖x − y‖²_b, gives ‖x − y‖₂² ≥ Σ_b S_b² / |b|, with equality where x − y is constant on each block. An ℓ1
ball lies in the ℓ2 ball of its radius, so that this bound serves both norms.

The sums are exact, and the float32 bounds are at most what the inequality gives: every rounding that could
have made one larger is taken off again.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothing.errors import require

Sums = NDArray[np.integer[Any]] | NDArray[np.float32]
"""Block sums, in steps of 1/255: any integer type, or float32 where that is exact."""

_LEVELS = 255  # a uint8 pixel counts steps of 1/255
_LARGEST_BLOCK = 2**23  # pixels, so that its sum is an int32
_EXACT_IN_FLOAT32 = 2**24 // _LEVELS  # pixels of a block whose sum, and any difference of two, is a float32
_ROUNDING = 2.0**-24  # half a unit in the last place of float32, relative
_CELLS_AT_ONCE = 2**18  # of a float32 buffer, which stays in the second-level cache
_IMAGES_AT_ONCE = 256


class BlockGrid:
    """How images of one shape are cut into blocks.

    Attributes:
        shape: ``(c, h, w)`` of an image.
        size: Number of blocks, k.
        counts: Pixels of each block, ``(k,)``, by channel, then row, then column of the grid.
    """

    shape: tuple[int, int, int]
    size: int
    counts: NDArray[np.int64]

    def __init__(self, shape: tuple[int, int, int], cells: int) -> None:
        """Cut each channel into ``cells`` × ``cells`` blocks, fewer where it has fewer rows or columns.

        The heights of blocks differ by at most one row, and their widths by one column.

        Raises:
            InvalidParameter: The shape is not three positive numbers, ``cells`` is not positive, or a block
                would have more than 2**23 pixels.

        >>> grid = BlockGrid((1, 2, 5), 2)
        >>> grid.counts
        array([2, 3, 2, 3])
        >>> grid.sketch(np.arange(10, dtype=np.uint8).reshape(1, 1, 2, 5))[:, 0]
        array([ 1,  9, 11, 24], dtype=int32)
        """
        require(len(shape) == 3 and min(shape) >= 1, "shape", "be three numbers >= 1", shape)
        require(cells >= 1, "cells", "be >= 1", cells)
        self.shape = shape
        channels, height, width = shape
        self._rows, heights = _cuts(height, cells)
        self._columns, widths = _cuts(width, cells)
        self.counts = np.tile(np.outer(heights, widths).ravel(), channels)
        self.size = len(self.counts)
        require(self.counts.max() <= _LARGEST_BLOCK, "cells", "leave a block at most 2**23 pixels", cells)

    @property
    def fastest_type(self) -> type[np.float32] | type[np.int32]:
        """What to keep sketches in: float32, compared faster, if it is exact: up to 65 793 pixels a block.

        >>> [BlockGrid((3, side, side), 2).fastest_type.__name__ for side in (512, 518)]
        ['float32', 'int32']
        """
        return np.float32 if int(self.counts.max()) <= _EXACT_IN_FLOAT32 else np.int32

    def sketch(self, images: NDArray[np.uint8]) -> NDArray[np.int32]:
        """The block sums of images ``(m, c, h, w)``, uint8: ``(k, m)``, int32, in steps of 1/255.

        Raises:
            InvalidParameter: The images have another shape or type.
        """
        require(images.dtype == np.uint8, "images", "be uint8", str(images.dtype))
        fits = images.ndim == 4 and images.shape[1:] == self.shape
        require(fits, "images", "have the shape (m, {}, {}, {})".format(*self.shape), images.shape)
        sums = np.empty((self.size, len(images)), dtype=np.int32)
        for start in range(0, len(images), _IMAGES_AT_ONCE):
            part = images[start : start + _IMAGES_AT_ONCE]
            across = np.add.reduceat(part, self._columns, axis=3, dtype=np.int32)
            blocks = np.add.reduceat(across, self._rows, axis=2)
            sums[:, start : start + len(part)] = blocks.reshape(len(part), self.size).T
        return sums


def l2_lower_bounds(sketches: Sums, sketch: Sums, counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Lower bounds ``(m,)`` on the ℓ2 distance of each of m images from one image, pixel units.

    Args:
        sketches: Of the m images, ``(k, m)``.
        sketch: Of the one image, ``(k,)``.
        counts: Pixels of each block, ``(k,)``.

    Raises:
        InvalidParameter: Shapes do not match, a type is neither an integer nor float32, or the blocks are too
            large for exact sums in float32.

    >>> grid = BlockGrid((1, 4, 4), 2)
    >>> black, white = np.zeros((1, 1, 4, 4), np.uint8), np.full((1, 1, 4, 4), 255, np.uint8)
    >>> round(float(l2_lower_bounds(grid.sketch(black), grid.sketch(white)[:, 0], grid.counts)[0]), 5)
    4.0
    """
    _check(sketches, sketch, counts)
    dtype = _working_type(counts)
    own, weights = sketch.astype(dtype)[:, None], (1.0 / counts).astype(dtype)[:, None]
    bounds = np.empty(sketches.shape[1], dtype=np.float32)
    width = max(1, _CELLS_AT_ONCE // len(counts))
    buffer = np.empty((len(counts), min(width, len(bounds))), dtype=dtype)
    for start in range(0, len(bounds), width):
        part = buffer[:, : min(width, len(bounds) - start)]
        np.copyto(part, sketches[:, start : start + width])
        part -= own  # exact
        np.square(part, out=part)
        part *= weights
        bounds[start : start + width] = np.sqrt(part.sum(axis=0)) * _shrink(len(counts))
    return bounds


def l2_within(
    sketches: Sums,
    sketch: Sums,
    counts: NDArray[np.int64],
    limits: NDArray[np.floating[Any]] | float,
) -> NDArray[np.int64]:
    """Positions, ascending, whose ℓ2 lower bound is at most their limit: all others are farther than it.

    Args:
        sketches: Of the m images, ``(k, m)``.
        sketch: Of the one image, ``(k,)``.
        counts: Pixels of each block, ``(k,)``.
        limits: One for all or one for each ``(m,)``, pixel units; compared as they are, so that a radius kept
            in float32 has to have been rounded up.

    Raises:
        InvalidParameter: As ``l2_lower_bounds``, or the limits have another shape or hold NaN.

    >>> grid = BlockGrid((1, 2, 2), 1)
    >>> images = np.array([0, 10, 20, 30], np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 2), np.uint8)
    >>> sketches = grid.sketch(images)
    >>> l2_within(sketches, sketches[:, 1], grid.counts, limits=0.1)  # neighbours are 20/255 apart
    array([0, 1, 2])
    """
    bounds, limits = l2_lower_bounds(sketches, sketch, counts), np.asarray(limits)
    shape = bounds.shape
    require(limits.shape in ((), shape), "limits", f"have the shape () or {shape}", limits.shape)
    require(not np.isnan(limits).any(), "limits", "not be NaN", limits)
    return np.flatnonzero(bounds <= limits)


def _check(sketches: Sums, sketch: Sums, counts: NDArray[np.int64]) -> None:
    require(counts.ndim == 1 and counts.size > 0, "counts", "have the shape (k,), k >= 1", counts.shape)
    fewest, most = int(counts.min()), int(counts.max())
    require(fewest >= 1 and most <= _LARGEST_BLOCK, "counts", "be in 1..2**23", (fewest, most))
    for name, sums, ndim in (("sketches", sketches, 2), ("sketch", sketch, 1)):
        integral = np.issubdtype(sums.dtype, np.integer)
        require(integral or sums.dtype == np.float32, name, "be of integers or float32", str(sums.dtype))
        exact = integral or most <= _EXACT_IN_FLOAT32
        require(exact, name, f"be of integers, for float32 is not exact for {most} pixels", str(sums.dtype))
        fits = sums.ndim == ndim and len(sums) == len(counts)
        require(fits, name, f"have {ndim} axes, the first of length {len(counts)}", sums.shape)


def _working_type(counts: NDArray[np.int64]) -> type[np.floating[Any]]:
    """The faster type in which all sums and their differences are exact."""
    return np.float32 if int(counts.max()) <= _EXACT_IN_FLOAT32 else np.float64


def _shrink(blocks: int) -> np.float32:
    """1/255, less what rounding may have added to a bound.

    A term of the ℓ2 sum is rounded three times (weight, square, product), the sum of k terms k − 1 times in
    whatever order, and root, scaling and storing once each; that is below (1 + 2^-24)^(k + 8).
    """
    exact = math.exp(-(blocks + 8) * _ROUNDING) / _LEVELS
    return np.float32(np.nextafter(np.float32(exact), np.float32(0.0)))


def _cuts(length: int, cells: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the parts of a side begin, and how long they are."""
    parts = min(cells, length)
    edges = np.arange(parts + 1, dtype=np.int64) * length // parts
    return edges[:-1], np.diff(edges)
