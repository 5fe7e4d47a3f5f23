"""Random crop and flip of whole batches of tensors."""

import torch
from torch import Tensor
from torch.nn import functional


def random_crop(images: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Shift each image ``(b, c, h, w)`` by up to ``padding`` pixels each way; beyond the border is black."""
    return random_window(functional.pad(images, [padding] * 4), padding, generator)


def random_window(images: Tensor, margin: int, generator: torch.Generator) -> Tensor:
    """Cut a random window out of each image ``(b, c, h, w)``, smaller by ``2·margin`` pixels each way."""
    count, _, height, width = images.shape
    windows = images.unfold(2, height - 2 * margin, 1).unfold(3, width - 2 * margin, 1)
    shifts = torch.randint(2 * margin + 1, (2, count), generator=generator, device=images.device)
    return windows[torch.arange(count, device=images.device), :, shifts[0], shifts[1]]


def random_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image ``(b, c, h, w)`` left to right with probability one half."""
    mirrored = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < 0.5
    return torch.where(mirrored, images.flip(3), images)
