"""All pairs of regions of different labels: the many that are far apart by numbers, the near ones exactly."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from radii.memory.geometry import LEVELS, Balls, Gap, smallest_gap

_BLOCK: Final = 1024
# Steps of 1/255. Distances up to 10⁸ of them are known to 10⁻⁷ and better, and no image has larger ones.
_NEAR: Final = 1e-6


@dataclass(frozen=True)
class Regions:
    """Certified regions that were read.

    Attributes:
        places: Where they are in the log.
        labels: Their classes, (n,).
        rows: Which of the centres is theirs, (n,).
        centers: Pixels, (m, d).
        balls: Their radii.
    """

    places: Sequence[int]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]
    centers: NDArray[np.uint8]
    balls: Sequence[Balls]


@dataclass(frozen=True)
class Pair:
    """Two regions of different labels, by their places in the log, and the gap between them."""

    first: int
    second: int
    gap: Gap


@dataclass
class Comparison:
    """The result of comparing all pairs.

    Attributes:
        pairs: How many pairs of different labels there are.
        nearest: The pair with the smallest gap; None if there is no pair.
        overlapping: The pairs that have a point in common.
    """

    pairs: int = 0
    nearest: Pair | None = None
    overlapping: list[Pair] = field(default_factory=list)

    def add(self, pair: Pair) -> None:
        """Adds one pair."""
        if self.nearest is None or pair.gap.size < self.nearest.gap.size:
            self.nearest = pair
        if pair.gap.overlaps:
            self.overlapping.append(pair)


def compare(regions: Regions, on_compared: Callable[[int], None] = lambda _: None) -> Comparison:
    """Compares every two regions of different labels.

    A region lies in the ℓ2 ball of its larger radius. Where such balls are surely apart, so are the regions;
    that is decided in float64, for which sums of products of pixels are exact. All else is decided exactly.

    Args:
        regions: The regions.
        on_compared: Called with the number of pairs compared since the last call, whatever their labels.
    """
    found = Comparison()
    covers = _covers(regions)
    for first, second in _blocks(len(regions.places)):
        _compare_blocks(regions, covers, first, second, found)
        on_compared(_size(first, second))
    return found


def pairs_in_all(regions: int) -> int:
    """Returns the number of pairs among this many regions."""
    return regions * (regions - 1) // 2


def _blocks(n: int) -> Iterator[tuple[slice, slice]]:
    for start in range(0, n, _BLOCK):
        for other in range(start, n, _BLOCK):
            yield slice(start, min(start + _BLOCK, n)), slice(other, min(other + _BLOCK, n))


def _size(first: slice, second: slice) -> int:
    rows, columns = first.stop - first.start, second.stop - second.start
    return pairs_in_all(rows) if first == second else rows * columns


def _compare_blocks(
    regions: Regions, covers: NDArray[np.float64], first: slice, second: slice, found: Comparison
) -> None:
    wanted = regions.labels[first, None] != regions.labels[second]
    if first == second:
        wanted = np.triu(wanted, 1)
    count = int(np.count_nonzero(wanted))
    if not count:
        return
    found.pairs += count
    gaps = _distances(regions, first, second)
    gaps -= covers[first, None]
    gaps -= covers[second]
    gaps[~wanted] = np.inf
    near = gaps <= _NEAR
    for row, column in np.argwhere(near).tolist():
        found.add(_exactly(regions, first.start + row, second.start + column))
    gaps[near] = np.inf
    row, column = divmod(int(gaps.argmin()), gaps.shape[1])
    if np.isfinite(gaps[row, column]):
        gap = Gap("ℓ2", float(gaps[row, column]) / LEVELS, overlaps=False)
        found.add(Pair(regions.places[first.start + row], regions.places[second.start + column], gap))


def _distances(regions: Regions, first: slice, second: slice) -> NDArray[np.float64]:
    """Distances of the centres in ℓ2, in steps of 1/255: roots, rounded once, of exact integers."""
    x, y = (regions.centers[regions.rows[block]].astype(np.float64) for block in (first, second))
    squares: NDArray[np.float64] = x @ y.T
    squares *= -2
    squares += np.einsum("ij,ij->i", x, x)[:, None]
    squares += np.einsum("ij,ij->i", y, y)
    return np.sqrt(squares, out=squares)


def _covers(regions: Regions) -> NDArray[np.float64]:
    """Radii of the smallest ℓ2 balls that hold the regions, in steps of 1/255."""
    # Larger ones than this hold every image there is, and might be infinite as floats.
    most = Fraction(10**12)
    return np.array([float(min(most, max(balls.l2, balls.l1))) for balls in regions.balls])


def _exactly(regions: Regions, i: int, j: int) -> Pair:
    x, y = (regions.centers[regions.rows[place]].astype(np.int64) for place in (i, j))
    gap = smallest_gap(np.abs(x - y), regions.balls[i], regions.balls[j])
    return Pair(regions.places[i], regions.places[j], gap)
