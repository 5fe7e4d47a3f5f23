"""What a backend is, and what it makes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep PyTorch to one thread for the length of a block in which another runtime does the work.

        PyTorch's threads spin for a while after each operation, on the cores that the runtime needs: on two
        cores, noise made with two threads costs up to a third of the votes.
        """
        if self.backend == "eager":
            yield
            return
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)

    def __call__(self, images: Tensor) -> Tensor:
        """Map float32 images ``(b, c, h, w)`` in pixel units to float32 logits ``(b, k)``."""
        return self.call(images)
