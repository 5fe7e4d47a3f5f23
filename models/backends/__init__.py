"""Backends: each turns a classifier into a fast callable for one device and precision.

The precision is a part of the classifier: a certificate is about the function in exactly this arithmetic.
"""

import torch
from torch import nn

from models.backends.base import Backend, BackendError, ExecutableClassifier
from models.backends.calibrate import calibrate_batch_size, votes_per_second
from models.backends.checks import check_agreement, check_logits
from models.backends.eager import EagerBackend
from models.backends.openvino import OpenVINOBackend

BACKENDS: dict[str, Backend] = {"openvino": OpenVINOBackend(), "eager": EagerBackend()}
"""Every backend by name, those to be preferred first."""


def prepare(
    module: nn.Module,
    *,
    input_shape: tuple[int, int, int],
    num_classes: int,
    backend: str = "auto",
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int | None = None,
) -> ExecutableClassifier:
    """Make a classifier executable; the module itself is copied and stays as it is.

    Args:
        module: images ``(b, c, h, w)`` in pixel units to logits ``(b, k)``, in eval mode.
        input_shape: ``(c, h, w)``.
        num_classes: k.
        backend: a name in ``BACKENDS``, or ``auto``: the first of them that runs this module on this device.
        device: ``auto`` (CUDA where there is a device), ``cpu``, ``cuda`` or ``cuda:N``.
        dtype: ``float32``, ``bfloat16``, or ``auto``, the fastest that the device computes in itself.
        batch_size: images a call; None measures which is fastest.

    Raises:
        BackendError: if a name is unknown, the device is missing, the module is in train mode, or it does not
            give ``(b, k)`` finite logits when it is executed, or others than in eager float32.
    """
    if backend not in ("auto", *BACKENDS):
        raise BackendError(f"'backend' must be one of {['auto', *BACKENDS]}, got {backend!r}")
    if any(part.training for part in module.modules()):
        raise BackendError(
            "'module' must be in eval mode in all its parts, or its votes depend on their batch"
        )
    place = _device(device)
    names = [name for name in BACKENDS if BACKENDS[name].dtypes(place)] if backend == "auto" else [backend]
    for name in names:
        try:
            precision = _precision(name, place, dtype)
            call = BACKENDS[name].build(module, device=place, dtype=precision, input_shape=input_shape)
            check_logits(call, input_shape, num_classes, place)
            check_agreement(call, module, input_shape, place)
        except BackendError:
            if name == names[-1]:
                raise
            continue
        size = batch_size or calibrate_batch_size(call, input_shape, place)
        rate = votes_per_second(call, input_shape, place, size)
        return ExecutableClassifier(call, name, place, precision, size, rate)
    raise BackendError(f"'backend' must run on {place}, got {backend!r}")


def _precision(backend: str, device: torch.device, dtype: str) -> str:
    offered = BACKENDS[backend].dtypes(device, emulated=True)
    if dtype != "auto" and dtype in offered:
        return dtype
    if dtype == "auto" and offered:
        return BACKENDS[backend].dtypes(device)[0]
    raise BackendError(f"'dtype' must be one of {['auto', *offered]} on {device} by {backend}, got {dtype!r}")


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise BackendError(f"'device' must be auto, cpu, cuda or cuda:N, got {name!r}") from error
    if device.type not in ("cpu", "cuda"):
        raise BackendError(f"'device' must be auto, cpu, cuda or cuda:N, got {name!r}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise BackendError(f"'device' {name} must exist, got {torch.cuda.device_count()} CUDA devices")
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device


__all__ = ["BACKENDS", "Backend", "BackendError", "ExecutableClassifier", "prepare"]
