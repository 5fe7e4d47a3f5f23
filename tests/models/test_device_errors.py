"""Which errors say that a device is lost, or that it had no memory left."""

import pytest
import torch

from models.backends.device_errors import is_device_lost, is_out_of_memory


@pytest.mark.parametrize(
    ("error", "lost", "out_of_memory"),
    [
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), True, False),
        (RuntimeError("CUDA error: device-side assert triggered"), True, False),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), True, False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"), True, False),
        (torch.OutOfMemoryError("CUDA out of memory"), False, True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False, False),
        (ValueError("CUDA error"), False, False),
    ],
    ids=str,
)
def test_errors_of_the_device_are_recognised(error: Exception, lost: bool, out_of_memory: bool) -> None:
    """Also when another error was raised from them, or while they were handled."""
    caused = ValueError("it cannot be loaded")
    caused.__cause__ = error
    followed = ValueError("it cannot be loaded")
    followed.__context__ = error
    for one in (error, caused, followed):
        assert is_device_lost(one) is lost
        assert is_out_of_memory(one) is out_of_memory


def test_no_error_is_no_error_of_the_device() -> None:
    assert not is_device_lost(None)
    assert not is_out_of_memory(None)
