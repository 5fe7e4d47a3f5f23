"""Sketches: sums over blocks of an image, which bound the distances of images from below.

For pixels cut into blocks b, ‖x − y‖₁ ≥ Σ_b |Σ_b (x − y)| by the triangle inequality, and
‖x − y‖₂² ≥ Σ_b (Σ_b (x − y))² / |b| by Cauchy and Schwarz. Photographs differ most in their large structures,
so that some dozens of blocks tell nearly all pairs apart that are far from each other.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothing.errors import require

_LEVELS = 255  # a uint8 pixel counts steps of 1/255
_CHUNK = 16_384  # columns whose intermediate results stay in a core's cache
_LONGEST = 256  # pixels along a block: 256 · 256 · 255 < 2 ** 24
_SLACK = 1e-4  # relative; far above what float32 loses in a sum of some hundred squares


class BlockGrid:
    """How images of one shape are cut into blocks.

    Args:
        shape: ``(c, h, w)``.
        cells: Blocks along each side, per channel; fewer where the image has fewer rows or columns, and more
            where a block's sum could be too large for float32 to hold exactly.

    Attributes:
        size: Number of blocks k.
        counts: Pixels of each block ``(k,)``, int64.
    """

    def __init__(self, shape: tuple[int, int, int], cells: int) -> None:
        require(len(shape) == 3 and min(shape) >= 1, "shape", "be (c, h, w), each >= 1", shape)
        require(cells >= 1, "cells", "be >= 1", cells)
        self._shape = shape
        cells = max(cells, math.ceil(max(shape[1:]) / _LONGEST))
        self._rows, self._columns = (_starts(side, min(side, cells)) for side in shape[1:])
        heights, widths = (
            np.diff([*starts, side]) for starts, side in ((self._rows, shape[1]), (self._columns, shape[2]))
        )
        self.counts = np.tile(np.outer(heights, widths).reshape(-1), shape[0]).astype(np.int64)
        self.size = len(self.counts)

    def sketch(self, images: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Block sums ``(k, m)`` of images ``(m, c, h, w)``, uint8.

        Raises:
            InvalidParameter: The images have another shape or type.

        >>> BlockGrid((1, 2, 2), 1).sketch(np.array([[[[1, 2], [3, 4]]]], dtype=np.uint8)).tolist()
        [[10]]
        """
        require(images.dtype == np.uint8, "images", "be uint8", str(images.dtype))
        require(images.shape[1:] == self._shape, "images", f"have shape (m, {self._shape})", images.shape)
        rows = np.add.reduceat(images.astype(np.int32), self._rows, axis=2)
        blocks = np.add.reduceat(rows, self._columns, axis=3)
        return np.ascontiguousarray(blocks.reshape(len(images), self.size).T)


def l2_lower_bounds(
    sketches: NDArray[Any], sketch: NDArray[Any], counts: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Lower bounds ``(m,)`` of the ℓ2 distances of images to one image, in pixel units.

    Args:
        sketches: Block sums ``(k, m)``.
        sketch: Those of the one image ``(k,)``.
        counts: Pixels of each block ``(k,)``.

    >>> grid = BlockGrid((1, 1, 2), 1)
    >>> images = np.array([[[[0, 0]]], [[[255, 255]]]], dtype=np.uint8)
    >>> sketches = grid.sketch(images)
    >>> [round(float(bound), 3) for bound in l2_lower_bounds(sketches, sketches[:, 0], grid.counts)]
    [0.0, 1.414]
    """
    bounds = np.empty(sketches.shape[1], dtype=np.float32)
    for columns, squares in _squares(sketches, sketch, counts):
        np.sqrt(squares, out=bounds[columns])
    return bounds * np.float32((1.0 - _SLACK) / _LEVELS)


def l2_within(
    sketches: NDArray[Any], sketch: NDArray[Any], counts: NDArray[np.int64], limits: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Positions, in rising order, of the images that may be within ``limits`` ``(m,)`` of one image in ℓ2.

    An image within its limit, in pixel units, is never left out.
    """
    found = []
    for columns, squares in _squares(sketches, sketch, counts):
        most = np.square(limits[columns] * np.float32(_LEVELS / (1.0 - _SLACK)))
        found.append(columns.start + np.flatnonzero(squares <= most))
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def _squares(
    sketches: NDArray[Any], sketch: NDArray[Any], counts: NDArray[np.int64]
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Chunks of columns with their sums of squared differences over |b|, in steps of 1/255, float32."""
    scales = [np.float32(1.0 / math.sqrt(count)) for count in counts]
    own = sketch.astype(np.float32)
    total, row = np.empty(_CHUNK, dtype=np.float32), np.empty(_CHUNK, dtype=np.float32)
    for start in range(0, sketches.shape[1], _CHUNK):
        columns = slice(start, min(start + _CHUNK, sketches.shape[1]))
        size = columns.stop - start
        squares, part = total[:size], row[:size]
        squares[:] = 0.0
        for block, scale in enumerate(scales):
            np.subtract(sketches[block, columns], own[block], out=part, casting="unsafe")
            np.multiply(part, scale, out=part)
            np.multiply(part, part, out=part)
            np.add(squares, part, out=squares)
        yield columns, squares


def _starts(side: int, cells: int) -> NDArray[np.int64]:
    """First places of so many blocks, whose lengths differ by at most one."""
    return np.arange(cells) * side // cells
