"""What an error says of the device on which it was raised: out of memory, or lost for this process."""

from collections.abc import Iterator
from typing import Final

import torch

# Older libraries and cuBLAS raise a plain RuntimeError: only its text says that the device is the cause.
_DEVICE_MESSAGES: Final = ("CUDA error", "CUBLAS_STATUS_", "CUDNN_STATUS_")


def is_device_lost(error: BaseException | None) -> bool:
    """Whether an error, or one that caused it, leaves the process unable to use its GPU.

    After an illegal access or a failed assertion on the device every further call fails, until a new process
    makes a new context. Running out of memory is no such error.
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
    """Whether an error, or one that caused it, says that the device had no memory left."""
    return any(isinstance(one, torch.OutOfMemoryError) for one in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, then what it was raised from, back to the first one."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
