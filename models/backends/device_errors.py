"""Classifies errors of a device: out of memory, or lost for this process."""

from collections.abc import Iterator
from typing import Final

import torch

# Older libraries and cuBLAS raise a plain RuntimeError, so only its text names the device as the cause.
_DEVICE_MESSAGES: Final = ("CUDA error", "CUBLAS_STATUS_", "CUDNN_STATUS_")


def is_device_lost(error: BaseException | None) -> bool:
    """Whether an error, or one that caused it, leaves the process unable to use its GPU.

    After an illegal access or a failed assertion on the device, every later call fails until a new process
    makes a new context. Running out of memory is not such an error.
    """
    for one in _chain(error):
        if isinstance(one, torch.OutOfMemoryError):
            return False
        if isinstance(one, torch.AcceleratorError):
            return True
        if isinstance(one, RuntimeError) and any(text in str(one) for text in _DEVICE_MESSAGES):
            return True
    return False


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that caused it, is a lack of memory on the device."""
    return any(isinstance(one, torch.OutOfMemoryError) for one in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error, its cause, the cause of that, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
