"""The interface of backends, and the classifier that they make."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from models.errors import BackendError

Logits = Callable[[Tensor], Tensor]
"""Maps float32 images ``(b, c, h, w)`` in pixel units, on the device, to float32 logits ``(b, k)``."""

_own_threads: ContextVar[int | None] = ContextVar("own_threads", default=None)


@dataclass(frozen=True, eq=False)
class BuildRequest:
    """A classifier, and how a backend shall execute it.

    Attributes:
        module: images ``(b, c, h, w)`` in pixel units to logits ``(b, k)``, in eval mode.
        input_shape: ``(c, h, w)``.
        num_classes: k.
        device: device of the images.
        dtype: the precision, such as ``bfloat16``.
        batch_size: images per call, for backends that compile for one size; None measures it.
        calibration: noisy images ``(m, c, h, w)`` on which int8 is calibrated; None in other precisions.

    Raises:
        BackendError: if int8 has no calibration images.
    """

    module: nn.Module
    input_shape: tuple[int, int, int]
    num_classes: int
    device: torch.device
    dtype: str
    batch_size: int | None = None
    calibration: Tensor | None = None

    def __post_init__(self) -> None:
        if self.dtype == "int8" and self.calibration is None:
            raise BackendError("'calibration' must be noisy images when 'dtype' is int8, got None")


class Backend(Protocol):
    """A way to execute a classifier."""

    def dtypes(self, device: torch.device, *, emulated: bool = False) -> tuple[str, ...]:
        """Return the precisions it offers on a device, the fastest first.

        Args:
            device: the device.
            emulated: whether to include precisions that are used only by explicit request, such as those
                that the device only emulates. Empty where the backend does not run.
        """

    def build(self, request: BuildRequest) -> Logits:
        """Return a callable, without changing the module. A fixed batch size is its attribute ``batch_size``.

        Raises:
            BackendError: if this backend cannot execute the module.
        """


@dataclass(frozen=True)
class ExecutableClassifier:
    """A classifier on one device in one precision.

    Attributes:
        call: float32 images ``(b, c, h, w)`` in pixel units to float32 logits ``(b, k)``.
        backend: name of the backend that made it.
        device: device of the images.
        dtype: the precision, such as ``bfloat16``; a certificate records it.
        batch_size: images per call with the most votes per second.
        votes_per_second: votes per second measured at that size, including the noise.
        num_classes: k.
    """

    call: Logits
    backend: str
    device: torch.device
    dtype: str
    batch_size: int
    votes_per_second: float
    num_classes: int

    def alone(self) -> AbstractContextManager[None]:
        """Limit PyTorch to one thread inside a block in which another runtime does the work.

        PyTorch's threads busy-wait for a while after each operation, on cores that the runtime needs: on two
        cores, drawing noise with two threads costs up to a third of the votes.
        """
        return alone(self.backend)

    def __call__(self, images: Tensor) -> Tensor:
        """Map float32 images ``(b, c, h, w)`` in pixel units to float32 logits ``(b, k)``."""
        return self.call(images)


@contextmanager
def alone(backend: str) -> Iterator[None]:
    """Limit PyTorch to one thread if the backend is another runtime; see `ExecutableClassifier.alone`."""
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
    """Return PyTorch's number of threads outside any block of `alone`; a runtime may use as many."""
    return _own_threads.get() or torch.get_num_threads()
