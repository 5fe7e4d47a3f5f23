"""Networks of the test bundles, imported by engines as `tests.support.networks`."""

import os
import re
from pathlib import Path

import torch
from torch import Tensor, nn


def small(hidden: int = 8) -> nn.Module:
    """A network without batch normalisation for colour images of 8×8."""
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, hidden), nn.ReLU(), nn.Linear(hidden, 3))


class Roughness(nn.Module):
    """Says "rough" under much noise and "smooth" under little: certificates at two levels contradict each other."""

    def forward(self, images: Tensor) -> Tensor:
        rough = (images[..., 1:] - images[..., :-1]).square().mean((1, 2, 3))
        return torch.stack([rough, torch.full_like(rough, 0.5), torch.zeros_like(rough)], dim=1)


class Poison(Roughness):
    """Kills its engine when it sees a black image."""

    def forward(self, images: Tensor) -> Tensor:
        if not images.any():
            os.abort()  # as native code does that cannot go on
        return super().forward(images)


class Moody(nn.Module):
    """Says whether an image is bright, and misbehaves at some grey values.

    Under little noise an image of one grey value stays recognisable; other images, such as those of the checks
    that are made when a model is loaded, are answered as any network would.
    """

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(1, 2)
        with torch.no_grad():
            self.last.weight.copy_(torch.tensor([[-9.0], [9.0]]))
            self.last.bias.copy_(torch.tensor([4.5, -4.5]))

    def forward(self, images: Tensor) -> Tensor:
        first = images[0]
        if float(first.std()) < 0.05:
            _misbehave(round(float(first.mean()) * 10))
        logits: Tensor = self.last(images.mean((1, 2, 3)).unsqueeze(1))
        return logits


def _misbehave(mood: int) -> None:
    if mood == 4:
        os.abort()
    if mood == 6:
        re.match(r"(a+)+$", "a" * 64 + "b")  # in C, with Python's lock held, for ever
    marker = Path(os.environ.get("MOODY_MARKER", os.devnull))
    if mood == 8 and not marker.exists():
        marker.touch()  # only the first engine's device breaks
        raise torch.AcceleratorError("CUDA error: device-side assert triggered")


CALM, ABORT, HANG, BROKEN_DEVICE, BRIGHT = 0.2, 0.4, 0.6, 0.8, 1.0
"""Grey values at which `Moody` is asked."""
