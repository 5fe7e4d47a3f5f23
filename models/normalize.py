"""Normalisation as the first layer of a classifier."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn


class Normalize(nn.Module):
    """Standardises the channels of images in pixel units.

    Normalisation is part of the classifier, not of data loading. Noise is added to images in [0, 1], before
    this layer, so every sigma and every certified radius is in pixel units for every model. The constants
    come from the bundle's card, so they are not in the state dict.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``(b, c, h, w)`` in pixel units to standardised images of the same shape."""
        return (images - self.mean) / self.std


class NormalizedClassifier(nn.Module):
    """A classifier of images in pixel units [0, 1]: normalisation, then a network that returns logits."""

    def __init__(self, normalize: Normalize, network: nn.Module) -> None:
        super().__init__()
        self.normalize = normalize
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``(b, c, h, w)`` in pixel units to logits ``(b, k)``."""
        return cast("Tensor", self.network(self.normalize(images)))
