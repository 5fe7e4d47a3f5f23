"""The clean images of a bundle: what adaptation runs over, and what int8 is fitted to."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from models.bundles import LoadedBundle

CALIBRATION_SIZE: Final = 128
"""Clean images that int8 is fitted to, and compared with float32 on."""


def clean_images(bundle: LoadedBundle, size: int | None = None) -> Tensor:
    """Return so many clean images ``(m, c, h, w)`` in pixel scale [0, 1], spread evenly; all without a size.

    Clean sets are often sorted by class: the first images alone might be all of one.

    Raises:
        ValueError: The bundle has none.
    """
    if bundle.clean is None:
        raise ValueError(f"the bundle '{bundle.card.name}' must have clean images, got none")
    whole = bundle.clean
    count = len(whole) if size is None else min(size, len(whole))
    places = np.linspace(0, len(whole) - 1, num=count).round().astype(np.int64)
    return torch.from_numpy(whole[places].astype(np.float32) / np.float32(255))


def calibration_images(
    bundle: LoadedBundle, sigmas: Sequence[float], *, generator: torch.Generator
) -> Tensor | None:
    """Return clean images ``(m, c, h, w)`` under Gaussian noise of these levels in turn.

    None without a clean set: then there is no int8.
    """
    if bundle.clean is None:
        return None
    clean = clean_images(bundle, CALIBRATION_SIZE)
    levels = torch.tensor(sigmas).repeat(len(clean))[: len(clean)].view(-1, 1, 1, 1)
    return clean + levels * torch.randn(clean.shape, generator=generator)
