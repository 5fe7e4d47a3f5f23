"""What the loop hands to a recipe."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Step:
    """One batch of training.

    Attributes:
        model: the classifier in train mode; images in pixel units to logits ``(b, k)``.
        images: augmented images ``(b, c, h, w)`` in pixel units [0, 1].
        labels: true classes ``(b,)``.
        indices: positions of the images in the training set ``(b,)``.
        sigma: noise level of each image ``(b,)``, in pixel units.
        generator: the source of all of the recipe's randomness, on the device of the images.
        progress: the part of the training that is done, in [0, 1).
        label_smoothing: for the recipe's cross entropy.
        memory: tensors that a recipe keeps from step to step; they are part of the checkpoint.
    """

    model: nn.Module
    images: Tensor
    labels: Tensor
    indices: Tensor
    sigma: Tensor
    generator: torch.Generator
    progress: float
    label_smoothing: float
    memory: dict[str, Tensor]
