"""Loaded models without a bundle on disk: toy networks of known answer, ready to be certified."""

from datetime import UTC, datetime

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from certifier import LoadedModel, load_model
from models.bundles import Card, LoadedBundle, bundle_digest


class Plane(nn.Module):
    """Two classes split by a plane: class 0 where the first pixel is above a threshold."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, images: Tensor) -> Tensor:
        score = 10 * (images.flatten(1)[:, 0] - self.threshold)
        return torch.stack((score, -score), dim=1)


class Stripe(nn.Module):
    """Class 0 where the first pixel is within 0.3 of white."""

    def forward(self, images: Tensor) -> Tensor:
        score = 10 * (0.3 - (images.flatten(1)[:, 0] - 1.0).abs())
        return torch.stack((score, -score), dim=1)


class Thirds(nn.Module):
    """Three classes by the first pixel: below white, about white, above white."""

    def forward(self, images: Tensor) -> Tensor:
        pixel = images.flatten(1)[:, 0]
        return torch.stack((0.5 - pixel, 0.6 - (pixel - 1.0).abs(), pixel - 1.5), dim=1)


class Shifted(nn.Module):
    """As `Plane` at one half, behind batch normalisation whose statistics can be adapted."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def forward(self, images: Tensor) -> Tensor:
        score = self.norm(images).flatten(1)[:, 0]
        return torch.stack((score, -score), dim=1)


def toy_model(network: nn.Module, classes: int = 2, clean: NDArray[np.uint8] | None = None) -> LoadedModel:
    """A network for images ``(1, 2, 3)`` as a worker holds it, in float32 on the CPU."""
    card = Card.model_validate(
        {
            "name": "toy",
            "entry_point": "tests.support.models:toy",
            "classes": [f"class {label}" for label in range(classes)],
            "input_shape": (1, 2, 3),
            "mean": (0.0,),
            "std": (1.0,),
            "digests": {"weights": "0" * 64},
            "created": datetime(2026, 1, 1, tzinfo=UTC),
        }
    )
    bundle = LoadedBundle(card, network.eval(), bundle_digest(card), clean)
    return load_model(bundle, backend="eager", device="cpu", dtype="float32")
