"""The same bits and noise as on a CPU, drawn where the classifier computes, such as on a GPU."""

from typing import Final

import numpy as np
import torch
from torch import Tensor

from smoothing.lattice.draws import BLOCK, first_bits_table
from smoothing.lattice.law import LatticeLaw
from smoothing.lattice.philox import key_for

_MULTIPLIERS: Final = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_KEY_STEPS: Final = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_ROUNDS: Final = 10
_LOW: Final = 0xFFFFFFFF
_SIGN: Final = 1 << 63
_AT_ONCE: Final = 1 << 24  # coordinates, which takes about 400 MB


class DeviceNoiseStream:
    """What ``NoiseStream`` is on the CPU: the noise of one stream, for images of one size.

    Args:
        law: Of each coordinate.
        seed: 128 bits.
        stream: Its use.
        dimension: Coordinates of an image, c·h·w.
        device: Where the noise is drawn.
    """

    def __init__(self, law: LatticeLaw, seed: int, stream: str, dimension: int, device: torch.device) -> None:
        table, undecided = first_bits_table(law)
        self.law, self.dimension, self.device = law, dimension, device
        self.votes_in_block = max(1, BLOCK // dimension)
        self._key = key_for(seed, stream)
        self._table, self._undecided = torch.from_numpy(table).to(device), undecided
        # PyTorch compares signed numbers: with the first bit turned, their order is that of unsigned ones.
        self._thresholds = torch.from_numpy((law.thresholds ^ np.uint64(_SIGN)).view(np.int64)).to(device)

    def noise(self, first: int, n: int) -> Tensor:
        """Returns the noise of votes ``first..first + n − 1``: ``(n, dimension)``, whole steps."""
        start, last = first // self.votes_in_block, (first + n - 1) // self.votes_in_block
        at_once = max(1, _AT_ONCE // (self.votes_in_block * self.dimension))
        pieces = [
            self._blocks(block, min(at_once, last + 1 - block)) for block in range(start, last + 1, at_once)
        ]
        skipped = first - start * self.votes_in_block
        return torch.cat(pieces).reshape(-1, self.dimension)[skipped : skipped + n]

    def _blocks(self, first: int, n: int) -> Tensor:
        """The noise of whole blocks ``(n, votes_in_block · dimension)``."""
        size = self.votes_in_block * self.dimension
        blocks = torch.arange(first, first + n, device=self.device)
        groups = torch.arange(1, -(-size // 16) + 1, device=self.device)
        words = _philox(groups[None, :], blocks[:, None], 0, self._key)
        bits = torch.stack(words, dim=-1).reshape(n, -1).view(torch.int16)[:, :size]
        places = bits.to(torch.int64) & 0xFFFF
        noise = self._table[places]
        undecided = noise == self._undecided
        block, place = undecided.nonzero(as_tuple=True)
        # The k-th undecided coordinate of a block has the k-th word of the block's second part.
        nth = (undecided.cumsum(dim=1) - 1)[block, place]
        more = torch.stack(_philox(nth // 4 + 1, block + first, 1, self._key), dim=-1)
        word = more.gather(1, (nth % 4)[:, None])[:, 0]
        number = places[block, place] << 48 | _shifted(word, 16)
        found = torch.searchsorted(self._thresholds, number ^ -_SIGN, right=True)
        noise[block, place] = (found + self.law.lowest).to(noise.dtype)
        return noise


def _philox(group: Tensor, block: Tensor, part: int, key: int) -> tuple[Tensor, ...]:
    """Four words for each counter (group, block, part, 0), as ``numpy.random.Philox`` draws them."""
    zero = torch.zeros_like(group + block)
    counter = (zero + group, zero + block, zero + part, zero)
    keys = [key & (1 << 64) - 1, key >> 64]
    for _ in range(_ROUNDS):
        high_0, low_0 = _product(counter[0], _MULTIPLIERS[0])
        high_1, low_1 = _product(counter[2], _MULTIPLIERS[1])
        counter = (
            high_1 ^ counter[1] ^ _signed(keys[0]),
            low_1,
            high_0 ^ counter[3] ^ _signed(keys[1]),
            low_0,
        )
        keys = [(one + step) % (1 << 64) for one, step in zip(keys, _KEY_STEPS, strict=True)]
    return counter


def _product(one: Tensor, other: int) -> tuple[Tensor, Tensor]:
    """High and low 64 bits of a product of unsigned 64-bit numbers, of which PyTorch keeps the low ones."""
    a1, a0, b1, b0 = _shifted(one, 32), one & _LOW, other >> 32, other & _LOW
    middle = a1 * b0 + _shifted(a0 * b0, 32)
    high = a1 * b1 + _shifted(middle, 32) + _shifted(a0 * b1 + (middle & _LOW), 32)
    return high, one * _signed(other)


def _shifted(number: Tensor, bits: int) -> Tensor:
    """``number >> bits`` without copies of the sign."""
    return number >> bits & (1 << 64 - bits) - 1


def _signed(number: int) -> int:
    """The 64-bit number with the same bits, as PyTorch holds it."""
    return number - (1 << 64) if number >= _SIGN else number
