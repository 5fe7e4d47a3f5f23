"""The clean images of a bundle, as PyTorch takes them."""

import numpy as np
import torch
from torch import Tensor

from models.bundles import LoadedBundle


def clean_images(bundle: LoadedBundle, size: int) -> Tensor:
    """Returns so many clean images ``(m, c, h, w)`` in pixel scale [0, 1], spread evenly over the clean set.

    Clean sets are often sorted by class: the first images alone might be all of one.
    """
    if bundle.clean is None:
        raise ValueError(f"the bundle '{bundle.card.name}' must have clean images, got none")
    places = np.linspace(0, len(bundle.clean) - 1, num=min(size, len(bundle.clean))).round().astype(np.int64)
    return torch.from_numpy(bundle.clean[places].astype(np.float32) / np.float32(255))
