"""Common corruptions of 8-bit images, by the package ``imagecorruptions-imaug``.

The corruptions and their severities are those of ImageNet-C, made for photographs of 224 pixels. They are
given in pixels, so on small images blurs are far stronger than their severity says, and two rules apply:

- an image of fewer than 32 pixels a side is surrounded by its border pixels, corrupted, and cut out again;
- ``elastic_transform`` does not apply below 64 pixels a side: it moves the image by up to 22 pixels.

A grey image is corrupted as a coloured one with three equal channels, of which the first is kept, so that
noise stays as strong as its severity says.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import EvaluationError
from evaluation.plan import Corruption

_LEAST_SIDE = 32
_LEAST_ELASTIC_SIDE = 64
_SEEDED = ("impulse_noise", "glass_blur")
"""Those that draw from a generator of their own and take its seed as an argument."""


def applicable(input_shape: tuple[int, int, int]) -> dict[str, str | None]:
    """Say of each corruption why it does not apply to images ``(c, h, w)``; None: it does."""
    _, height, width = input_shape
    small = min(height, width) < _LEAST_ELASTIC_SIDE
    why = f"it moves an image of {width}×{height} pixels by up to 22 of them"
    return {name: why if small and name is Corruption.ELASTIC_TRANSFORM else None for name in Corruption}


def corrupt(images: NDArray[np.uint8], name: str, severity: int, *, seed: int) -> NDArray[np.uint8]:
    """Corrupt images ``(m, c, h, w)``; each draws from its own place and seed, whatever the others are.

    Raises:
        EvaluationError: The package is missing.
    """
    try:
        from imagecorruptions import corrupt as corrupt_one  # slow to import, and needed only here
    except ImportError as error:
        raise EvaluationError(
            "corruptions need the package imagecorruptions-imaug, of the extra 'train', and OpenCV's system "
            f"libraries (Debian: libgl1, libglib2.0-0): {error}"
        ) from error
    _, channels, height, width = images.shape
    border = [(0, 0), *((0, max(0, _LEAST_SIDE - side)) for side in (height, width))]
    border = [(high // 2, high - high // 2) for _, high in border]
    corrupted = np.empty_like(images)
    for place, image in enumerate(images):
        own = _seed(seed, name, severity, place)
        picture = np.pad(image, border, mode="edge").transpose(1, 2, 0)
        arguments = {"seed": own} if name in _SEEDED else {}
        with _seeded(own):
            found = np.asarray(corrupt_one(np.ascontiguousarray(picture), severity, name, **arguments))
        (top, _), (left, _) = border[1:]
        cut = found[top : top + height, left : left + width, :channels]
        corrupted[place] = cut.transpose(2, 0, 1)
    return corrupted


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """NumPy's global generator with a seed, put back afterwards: the package draws from nothing else."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def _seed(seed: int, name: str, severity: int, place: int) -> int:
    digest = hashlib.sha256(f"radii/corruption/1:{seed}:{name}:{severity}:{place}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
