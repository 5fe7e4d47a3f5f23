"""What a backend is, and what it makes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

Logits = Callable[[Tensor], Tensor]
"""Float32 images ``(b, c, h, w)`` in pixel units, on the device, to float32 logits ``(b, k)``."""

_own_threads: ContextVar[int | None] = ContextVar("own_threads", default=None)


class Backend(Protocol):
    """A way to execute a classifier."""

    def dtypes(self, device: torch.device, *, emulated: bool = False) -> tuple[str, ...]:
        """Return the precisions it offers on a device, the fastest first.

        Args:
            device: the device.
            emulated: whether to include those that it offers only to who asks by name, such as precisions
                that the device does not compute in itself.
        """

    def build(
        self,
        module: nn.Module,
        *,
        device: torch.device,
        dtype: str,
        input_shape: tuple[int, int, int],
        batch_size: int | None = None,
        calibration: Tensor | None = None,
    ) -> Logits:
        """Return a callable that leaves the module alone; one made for one size has it as ``batch_size``.

        Args:
            module: images ``(b, c, h, w)`` in pixel units to logits ``(b, k)``, in eval mode.
            device: one that it offers precisions on.
            dtype: one of those.
            input_shape: ``(c, h, w)``.
            batch_size: images a call, where that has to be known beforehand; None measures it.
            calibration: noisy images ``(m, c, h, w)`` that int8 is fitted to.

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
        num_classes: k.
    """

    call: Logits
    backend: str
    device: torch.device
    dtype: str
    batch_size: int
    votes_per_second: float
    num_classes: int

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep PyTorch to one thread for the length of a block in which another runtime does the work.

        PyTorch's threads spin for a while after each operation, on the cores that the runtime needs: on two
        cores, noise made with two threads costs up to a third of the votes.
        """
        with alone(self.backend):
            yield

    def __call__(self, images: Tensor) -> Tensor:
        """Map float32 images ``(b, c, h, w)`` in pixel units to float32 logits ``(b, k)``."""
        return self.call(images)


@contextmanager
def alone(backend: str) -> Iterator[None]:
    """Keep PyTorch to one thread if the backend is another runtime; see `ExecutableClassifier.alone`."""
    if backend != "openvino":
        yield
        return
    before = torch.get_num_threads()
    token = _own_threads.set(threads())
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        _own_threads.reset(token)


@contextmanager
def together() -> Iterator[None]:
    """Give PyTorch its threads back inside a block of `alone`."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def threads() -> int:
    """Return how many threads PyTorch has outside any block of `alone`: those that a runtime may use."""
    return _own_threads.get() or torch.get_num_threads()
