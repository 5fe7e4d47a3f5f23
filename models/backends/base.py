"""What a backend is, and what it makes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

Logits = Callable[[Tensor], Tensor]
"""Float32 images ``(b, c, h, w)`` in pixel units, on the device, to float32 logits ``(b, k)``."""


class BackendError(ValueError):
    """A classifier cannot be executed as asked."""


class Backend(Protocol):
    """A way to execute a classifier."""

    def dtypes(self, device: torch.device, *, emulated: bool = False) -> tuple[str, ...]:
        """Return the precisions it offers on a device, the fastest first.

        Args:
            device: the device.
            emulated: whether to include those that the device does not compute in itself.
        """

    def build(
        self, module: nn.Module, *, device: torch.device, dtype: str, input_shape: tuple[int, int, int]
    ) -> Logits:
        """Return a callable that leaves the module alone.

        Raises:
            BackendError: if this backend cannot execute the module.
        """


@dataclass(frozen=True)
class ExecutableClassifier:
    """A classifier on one device in one precision.

    Attributes:
        call: float32 images ``(b, c, h, w)`` in pixel units to float32 logits ``(b, k)``.
        backend: name of the backend that made it.
        device: where images have to be.
        dtype: the precision, such as ``bfloat16``; a certificate records it.
        batch_size: the images a call that gave the most votes a second.
        votes_per_second: what was measured at that size, noise included.
    """

    call: Logits
    backend: str
    device: torch.device
    dtype: str
    batch_size: int
    votes_per_second: float

    def __call__(self, images: Tensor) -> Tensor:
        """Map float32 images ``(b, c, h, w)`` in pixel units to float32 logits ``(b, k)``."""
        return self.call(images)
