"""Accuracy of a classifier, with and without noise."""

import numpy as np
import torch
from torch import nn

from models.backends.precision import float32_means_float32
from models.data import LabelledImages
from smoothing.noises import Gaussian


@torch.inference_mode()
def accuracy(
    classifier: nn.Module,
    data: LabelledImages,
    *,
    sigma: float = 0.0,
    seed: int = 0,
    device: torch.device | str = "cpu",
    batch_size: int = 500,
) -> float:
    """Return the part of the images that are classified right, each under one draw of Gaussian noise.

    The classifier is used as it is: put it into eval mode first. It is computed in float32, not TF32.
    """
    generator = torch.Generator(device).manual_seed(seed)
    right = 0
    with float32_means_float32(torch.device(device)):
        for start in range(0, len(data), batch_size):
            images = (
                torch.from_numpy(np.ascontiguousarray(data.images[start : start + batch_size])).to(device)
                / 255
            )
            if sigma > 0:
                noise = Gaussian(sigma).sample(
                    images.shape, generator=generator, device=images.device, dtype=images.dtype
                )
                images = images + noise
            labels = torch.from_numpy(data.labels[start : start + batch_size]).to(device)
            right += int((classifier(images).argmax(1) == labels).sum())
    return right / len(data)
