"""Where the noise comes from: named, independent streams of one 128-bit seed.

Votes certify only if they are independent, so nothing here touches a global generator, which forked or
sharded work would share: each use of randomness asks for its own stream by name.
"""

import hashlib
import os

import numpy as np
import torch

from smoothing.errors import SmoothingError, require

SEED_BITS = 128

_DOMAIN = b"radii/smoothing/randomness/1\0"

# The CPU generator's state: a header of 24 bytes, then the Mersenne Twister's 624 words in 64-bit slots.
_STATE_BYTES = 5056
_WORDS = 624
_WORDS_AT = slice(24, 24 + 8 * _WORDS)


def draw_seed() -> int:
    """A fresh 128-bit seed from the operating system: 0 <= seed < 2**128.

    >>> draw_seed() != draw_seed()
    True
    """
    return int.from_bytes(os.urandom(SEED_BITS // 8), "big")


def require_seed(seed: int) -> None:
    """Refuse what is no 128-bit non-negative integer.

    Raises:
        InvalidParameter: ``seed`` is out of range.
    """
    require(isinstance(seed, int) and 0 <= seed < 2**SEED_BITS, "seed", f"be in 0..2**{SEED_BITS} - 1", seed)


def generator_for(seed: int, stream: str, *, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for one named use of a seed.

    Streams of different names or seeds are unrelated: SHA-256 of a fixed domain, the seed and the name keys
    the generator. On the CPU the key fills the whole state of the Mersenne Twister (``manual_seed`` would
    keep 32 bits of it); on CUDA its first 64 bits are the key of Philox, which is all that it takes. The
    same seed, name, kind of device and torch version give the same stream.

    Args:
        seed: A 128-bit non-negative integer, such as ``draw_seed()`` gives.
        stream: The name of the use: ``"selection"``, ``"estimation"``, ``"prediction"``, ...
        device: Where the noise will be drawn.

    Raises:
        InvalidParameter: ``seed`` is no 128-bit integer, or ``stream`` is empty.

    >>> one, two = (generator_for(7, name) for name in ("selection", "estimation"))
    >>> bool(torch.equal(torch.randn(4, generator=one), torch.randn(4, generator=two)))
    False
    """
    require_seed(seed)
    require(bool(stream), "stream", "not be empty", stream)
    key = hashlib.sha256(_DOMAIN + seed.to_bytes(SEED_BITS // 8, "big") + stream.encode()).digest()
    generator = torch.Generator(device=device)
    generator.manual_seed(int.from_bytes(key[:8], "big"))
    if generator.device.type == "cpu":
        _fill_state(generator, key)
    return generator


def _fill_state(generator: torch.Generator, key: bytes) -> None:
    """Set all 624 words of the CPU generator's state from the key, stretched by SHAKE-256."""
    state = generator.get_state()
    if state.numel() != _STATE_BYTES:
        raise SmoothingError(
            f"torch's CPU generator state must have {_STATE_BYTES} bytes, got {state.numel()}"
        )
    words = state[_WORDS_AT].view(torch.int64)
    if int(words[0]) != generator.initial_seed() & 0xFFFFFFFF:
        raise SmoothingError("torch's CPU generator state must hold the seed in its first word, it does not")
    stretched = np.frombuffer(hashlib.shake_256(key).digest(4 * _WORDS), dtype="<u4")
    words.copy_(torch.from_numpy(stretched.astype(np.int64)))
    generator.set_state(state)
