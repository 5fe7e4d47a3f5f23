"""The noise of vote number i: a function of seed, stream and i, whatever else is drawn."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smoothing.errors import require
from smoothing.lattice.law import LatticeLaw
from smoothing.lattice.philox import key_for, random_words

Steps = NDArray[np.int16] | NDArray[np.int32]

BLOCK: Final = 1 << 16
"""Coordinates that are drawn together, about: few enough for the processor's cache. Another number would give
other votes."""

_FIRST_BITS: Final = 16
_MORE_BITS: Final = 48


class NoiseStream:
    """The noise of one stream of a seed, for images of one size.

    Votes are drawn in blocks: of each coordinate, 16 bits look its noise up in a table. Where they do not
    decide, because a threshold of the law lies among the numbers that begin with them, 48 bits more do.

    Args:
        law: Of each coordinate.
        seed: 128 bits.
        stream: Its use: ``"selection"``, ``"estimation"``, …
        dimension: Coordinates of an image, c·h·w.
    """

    def __init__(self, law: LatticeLaw, seed: int, stream: str, dimension: int) -> None:
        require(dimension >= 1, "dimension", "be >= 1", dimension)
        self.law, self.dimension = law, dimension
        self.votes_in_block = max(1, BLOCK // dimension)
        self._key = key_for(seed, stream)
        self._table, self._undecided = first_bits_table(law)
        self.kind = self._table.dtype
        self._noise = np.empty(self.votes_in_block * dimension, dtype=self._table.dtype)
        self._drawn = -1  # number of the block in `_noise`

    def noise(self, first: int, n: int) -> Iterator[Steps]:
        """Yields the noise of votes ``first..first + n − 1``, in pieces ``(votes, dimension)``.

        A piece is overwritten when the next one is drawn.
        """
        while n > 0:
            block, start = divmod(first, self.votes_in_block)
            size = min(n, self.votes_in_block - start)
            self._draw(block)
            yield self._noise.reshape(self.votes_in_block, self.dimension)[start : start + size]
            first, n = first + size, n - size

    def _draw(self, block: int) -> None:
        if block == self._drawn:
            return
        size = len(self._noise)
        words = random_words(self._key, block, 0, -(-size // 4))
        first_bits = words.astype("<u8", copy=False).view("<u2")[:size]
        # Every 16 bits are a place in the table, so nothing is wrapped: "wrap" only skips a check.
        np.take(self._table, first_bits, out=self._noise, mode="wrap")
        undecided = np.flatnonzero(self._noise == self._undecided)
        more = random_words(self._key, block, 1, len(undecided))
        more >>= np.uint64(64 - _MORE_BITS)
        more |= first_bits[undecided].astype(np.uint64) << np.uint64(_MORE_BITS)
        found = np.searchsorted(self.law.thresholds, more, side="right")
        self._noise[undecided] = found + self.law.lowest
        self._drawn = block


@lru_cache(maxsize=64)
def first_bits_table(law: LatticeLaw) -> tuple[Steps, int]:
    """Returns the noise for each value of the first 16 bits ``(65536,)``, and what stands for none yet."""
    starts = np.arange(1 << _FIRST_BITS, dtype=np.uint64) << np.uint64(_MORE_BITS)
    lowest = np.searchsorted(law.thresholds, starts, side="right")
    highest = np.searchsorted(law.thresholds, starts | np.uint64((1 << _MORE_BITS) - 1), side="right")
    narrow = max(-law.lowest, law.highest) + law.steps <= np.iinfo(np.int16).max
    undecided = int(np.iinfo(np.int16 if narrow else np.int32).min)
    table = np.where(lowest == highest, lowest + law.lowest, undecided)
    return table.astype(np.int16) if narrow else table.astype(np.int32), undecided
