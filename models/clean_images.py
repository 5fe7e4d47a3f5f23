"""The clean images of a bundle, used for adaptation and for the calibration of int8."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from models.bundles import LoadedBundle
from models.images import as_pixels

CALIBRATION_SIZE: Final = 128
"""Number of clean images on which int8 is calibrated and compared with float32."""


def clean_images(bundle: LoadedBundle, size: int | None = None) -> Tensor:
    """Return ``size`` clean images ``(m, c, h, w)`` in [0, 1], evenly spaced in the clean set; None: all.

    Clean sets are often sorted by class, so the first images could all be of one class.

    Raises:
        ValueError: The bundle has none.
    """
    if bundle.clean is None:
        raise ValueError(f"the bundle '{bundle.card.name}' must have clean images, got none")
    whole = bundle.clean
    count = len(whole) if size is None else min(size, len(whole))
    places = np.linspace(0, len(whole) - 1, num=count).round().astype(np.int64)
    return as_pixels(whole[places])


def calibration_images(
    bundle: LoadedBundle, sigmas: Sequence[float], *, generator: torch.Generator
) -> Tensor | None:
    """Return clean images ``(m, c, h, w)`` with Gaussian noise; the levels take turns over the images.

    Returns None if the bundle has no clean set; int8 is then not available.
    """
    if bundle.clean is None:
        return None
    clean = clean_images(bundle, CALIBRATION_SIZE)
    levels = torch.tensor(sigmas).repeat(len(clean))[: len(clean)].view(-1, 1, 1, 1)
    return clean + levels * torch.randn(clean.shape, generator=generator)
