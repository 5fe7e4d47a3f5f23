"""Batches of training images on the device, decoded ahead where they lie on disk."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.data import LabelledImages
from models.training.augment import random_crop, random_flip, random_window


@dataclass(frozen=True)
class Batch:
    """Some images on the device: ``(b, c, h, w)`` uint8, labels ``(b,)``, positions ``(b,)``."""

    images: Tensor
    labels: Tensor
    indices: Tensor


@dataclass(frozen=True)
class Crop:
    """How images are shifted: within the margin that they have, or over a black border of ``padding``."""

    margin: int
    padding: int


class TrainingImages:
    """The images to train on: kept on the device if they are in memory, else decoded one batch ahead."""

    def __init__(self, data: LabelledImages, device: torch.device, padding: int) -> None:
        self._data = data
        self.device = device
        self.crop = Crop(data.margin, padding)
        self._labels = torch.from_numpy(data.labels).to(device)
        held = data.images
        self._images = torch.from_numpy(held).to(device) if isinstance(held, np.ndarray) else None

    def __len__(self) -> int:
        return len(self._data)

    def batches(self, batches: Sequence[Tensor]) -> Iterator[Batch]:
        """Yield a batch for each tensor of positions."""
        if self._images is not None:
            for indices in batches:
                here = indices.to(self.device)
                yield Batch(self._images[here], self._labels[here], here)
            return
        with ThreadPoolExecutor(1) as ahead:
            decoded = [ahead.submit(self._data.images.__getitem__, batches[0].numpy())] if batches else []
            for number, indices in enumerate(batches):
                images = decoded.pop().result()
                if number + 1 < len(batches):
                    decoded.append(ahead.submit(self._data.images.__getitem__, batches[number + 1].numpy()))
                here = indices.to(self.device)
                yield Batch(torch.from_numpy(images).to(self.device), self._labels[here], here)


def augmented(images: Tensor, crop: Crop, *, flip: bool, generator: torch.Generator) -> Tensor:
    """Turn 8-bit images into float32 ones in pixel units, cropped and mirrored at random."""
    floats = images.float() / 255
    if crop.margin:
        floats = random_window(floats, crop.margin, generator)
    elif crop.padding:
        floats = random_crop(floats, crop.padding, generator)
    if flip:
        floats = random_flip(floats, generator)
    return floats
