"""Decodes an image file into the 8-bit array that a bundle's classifier takes."""

from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from models.bundles import Fit
from models.errors import ImageError

_MODES = {1: "L", 3: "RGB"}
_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def read_image(
    source: Path | IO[bytes], input_shape: tuple[int, int, int], fit: Fit | None = None
) -> NDArray[np.uint8]:
    """Decode an image file into an array ``(c, h, w)`` uint8 of exactly ``input_shape``.

    Args:
        source: path of the file, or the file opened for reading.
        input_shape: ``(c, h, w)``; one channel means grey, three mean RGB.
        fit: how an image of another size is fitted; None refuses it.

    Raises:
        ImageError: if it cannot be decoded, or has another size and ``fit`` is None.
    """
    channels, height, width = input_shape
    if channels not in _MODES:
        raise ImageError(f"'input_shape' must have 1 or 3 channels for image files, got {channels}")
    try:
        with Image.open(source) as opened:
            picture = opened.convert(_MODES[channels])
    # Pillow raises OSError for truncated files and SyntaxError for some damaged headers.
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"'image' must be an image file: {error}") from error
    if picture.size != (width, height):
        if fit is None:
            raise ImageError(f"'image' must be {width}x{height} pixels, got {picture.width}x{picture.height}")
        picture = _fitted(picture, height, width, fit)
    pixels = np.asarray(picture, dtype=np.uint8)
    return np.ascontiguousarray(pixels[None] if channels == 1 else pixels.transpose(2, 0, 1))


def as_pixels(images: NDArray[np.uint8], device: torch.device | str = "cpu") -> Tensor:
    """Return 8-bit images of any shape as float32 in pixel units [0, 1]."""
    return torch.from_numpy(images.astype(np.float32) / np.float32(255)).to(device)


def _fitted(picture: Image.Image, height: int, width: int, fit: Fit) -> Image.Image:
    """Resize the shorter side to ``fit.resize`` and crop the centre."""
    scale = fit.resize / min(picture.size)
    # Rounding could make a side one pixel too short for the crop.
    size = (max(round(picture.width * scale), width), max(round(picture.height * scale), height))
    resized = picture.resize(size, _FILTERS[fit.interpolation])
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return resized.crop((left, top, left + width, top + height))
