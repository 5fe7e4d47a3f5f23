"""Accuracy of a classifier: without noise, under noise, and under attack.

The classifier is used as it is: put it into eval mode first. It is computed in float32, not TF32.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.backends.precision import float32_means_float32
from models.data import LabelledImages
from models.images import as_pixels
from models.training.attacks import withstood
from smoothing.noises import Gaussian

_BATCH = 500


@torch.inference_mode()
def accuracy(
    classifier: nn.Module,
    data: LabelledImages,
    *,
    sigma: float = 0.0,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> float:
    """Return the part of the images that are classified right, each under one draw of Gaussian noise."""
    generator = torch.Generator(device).manual_seed(seed)

    def right(images: Tensor, labels: Tensor) -> Tensor:
        if sigma > 0:
            noise = Gaussian(sigma).sample(images.shape, generator=generator, dtype=images.dtype)
            images = images + noise
        answers: Tensor = classifier(images).argmax(1)
        return answers == labels

    return _part(data, device, right)


def robust_accuracy(
    classifier: nn.Module,
    data: LabelledImages,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    **attack: Any,
) -> float:
    """Return the part of the images that are still answered right after projected gradient descent.

    Args:
        classifier: Images in pixel units to logits.
        data: What is attacked.
        seed: Of the random starts.
        device: Where it is computed.
        attack: ``norm``, ``epsilon`` and ``steps``, as ``pgd`` takes them.
    """
    generator = torch.Generator(device).manual_seed(seed)
    return _part(data, device, partial(withstood, classifier, generator=generator, **attack))


def _part(
    data: LabelledImages, device: torch.device | str, right: Callable[[Tensor, Tensor], Tensor]
) -> float:
    """Return the part of the images that a function of images and labels finds right."""
    count = 0
    with float32_means_float32(torch.device(device)):
        for start in range(0, len(data), _BATCH):
            batch = slice(start, start + _BATCH)
            labels = torch.from_numpy(data.labels[batch]).to(device)
            count += int(right(as_pixels(np.asarray(data.images[batch]), device), labels).sum())
    return count / len(data)
