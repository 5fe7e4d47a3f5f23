"""Random bits by counter: any part of a stream can be drawn by itself, and is the same on every machine.

Philox4x64-10 (Salmon, Moraes, Dror & Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011): a keyed
function of a 256-bit counter, as NumPy has it. Its key is a hash of the seed and the stream's name.
"""

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smoothing.errors import require
from smoothing.randomness import SEED_BITS, require_seed

_DOMAIN: Final = b"radii/smoothing/lattice/1\0"


def key_for(seed: int, stream: str) -> int:
    """Returns the 128-bit key of one named use of a seed.

    Args:
        seed: A 128-bit non-negative integer.
        stream: Its use: ``"selection"``, ``"estimation"``, …

    Raises:
        InvalidParameter: ``seed`` is out of range, or ``stream`` is empty.
    """
    require_seed(seed)
    require(bool(stream), "stream", "not be empty", stream)
    digest = hashlib.sha256(_DOMAIN + seed.to_bytes(SEED_BITS // 8, "big") + stream.encode()).digest()
    return int.from_bytes(digest[:16], "big")


def random_words(key: int, block: int, part: int, n: int) -> NDArray[np.uint64]:
    """Returns the first ``n`` 64-bit words ``(n,)`` of a part of a block of a key's stream.

    Args:
        key: Of 128 bits.
        block: Number of the block, below 2⁶⁴.
        part: Number of the part, below 2⁶⁴. A part has 2⁶⁴ times 4 words.
        n: Words.
    """
    return np.random.Philox(key=key, counter=block << 64 | part << 128).random_raw(n)
