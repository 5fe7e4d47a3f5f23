"""Backends: each turns a classifier into a fast callable for one device and precision.

The precision is a part of the classifier: a certificate is about the function in this arithmetic.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from models.backends.base import Backend, BuildRequest, ExecutableClassifier, Logits
from models.backends.calibrate import fastest_batch_size, votes_per_second
from models.backends.checks import (
    check_agreement,
    check_calibration,
    check_logits,
    check_votes,
)
from models.backends.compiled import CompiledBackend
from models.backends.eager import EagerBackend
from models.backends.openvino import OpenVINOBackend
from models.errors import BackendError

BACKENDS: dict[str, Backend] = {
    "openvino": OpenVINOBackend(),
    "compiled": CompiledBackend(),
    "eager": EagerBackend(),
}
"""Every backend by name, in order of preference."""


def prepare(
    module: nn.Module,
    *,
    input_shape: tuple[int, int, int],
    num_classes: int,
    backend: str = "auto",
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int | None = None,
    calibration: Tensor | None = None,
    like: ExecutableClassifier | None = None,
) -> ExecutableClassifier:
    """Make a classifier executable on a device. The module is copied, not changed.

    Args:
        module: images ``(b, c, h, w)`` in pixel units to logits ``(b, k)``, in eval mode.
        input_shape: ``(c, h, w)``.
        num_classes: k.
        backend: a name in ``BACKENDS``, or ``auto``: the first one that runs this module on this device.
        device: ``auto`` (CUDA if there is a device), ``cpu``, ``cuda`` or ``cuda:N``.
        dtype: ``float32``, ``bfloat16``, ``float16`` (CUDA), ``int8`` (OpenVINO), or ``auto``: the fastest
            precision that the device supports natively. ``auto`` takes int8 only with ``calibration``, and
            only if int8 passes the comparison below.
        batch_size: images per call; None measures the fastest size.
        calibration: float32 images ``(m, c, h, w)`` in pixel units, with noise added. Int8 is calibrated on
            the first ones, and must vote like float32 on 97 % of all.
        like: an earlier result for the same network with other values, such as other batch-norm statistics.
            Backend, device, precision, batch size and speed are taken from it, instead of the four arguments
            above, and nothing is measured.

    Raises:
        BackendError: if a name is unknown, the device is missing, or the module is in train mode; if the
            executed module does not return finite logits ``(b, k)``, or differs from eager float32; or if
            int8 is requested without ``calibration``, or does not vote like float32.
    """
    if like is not None:
        backend, device, dtype, batch_size = like.backend, str(like.device), like.dtype, like.batch_size
    if backend not in ("auto", *BACKENDS):
        raise BackendError(f"'backend' must be one of {', '.join(['auto', *BACKENDS])}, got {backend!r}")
    if any(part.training for part in module.modules()):
        raise BackendError(
            "'module' must be in eval mode in all parts, or an image's vote depends on its batch"
        )
    if calibration is not None:
        check_calibration(calibration, input_shape)
    place = find_device(device)
    candidates = _candidates(backend, place, dtype, calibrated=calibration is not None)
    for name, precision in candidates:
        try:
            fitted = calibration if precision == "int8" else None
            request = BuildRequest(module, input_shape, num_classes, place, precision, batch_size, fitted)
            call = _build(name, request)
        except BackendError:  # OpenVINO and int8 do not support every network: try the next, slower way
            if (name, precision) == candidates[-1]:
                raise
            continue
        if like is not None:
            return replace(like, call=call)
        if batch_size is None:
            size, rate = fastest_batch_size(call, request, name)
        else:
            size, rate = batch_size, votes_per_second(call, request, batch_size, name)
        return ExecutableClassifier(call, name, place, precision, size, rate, num_classes)
    raise BackendError(f"'backend' must run on {place}, got {backend!r}")


def _build(backend: str, request: BuildRequest) -> Logits:
    """Build the callable and compare it with the module."""
    call = BACKENDS[backend].build(request)
    check_logits(call, request)
    check_agreement(call, request)
    if request.calibration is not None:
        check_votes(call, request.module, request.calibration.to(request.device), request.dtype)
    return call


def _candidates(backend: str, device: torch.device, dtype: str, *, calibrated: bool) -> list[tuple[str, str]]:
    """Return the pairs of backend and precision to try, best first."""
    names = [name for name in BACKENDS if BACKENDS[name].dtypes(device)] if backend == "auto" else [backend]
    if dtype != "auto":
        offered = {name: BACKENDS[name].dtypes(device, emulated=True) for name in names}
        candidates = [(name, dtype) for name in names if dtype in offered[name]]
        if candidates:
            return candidates
        every = list(dict.fromkeys(one for some in offered.values() for one in some))
        raise BackendError(
            f"'dtype' must be one of {', '.join(['auto', *every])} on {device} by {' or '.join(names)}, "
            f"got {dtype!r}" + (" (it needs the package nncf and an x86 CPU)" if dtype == "int8" else "")
        )
    # Per backend: int8 if it can be compared, then the fastest float. Emulated precisions are slower than
    # float32, so they only serve a backend without native ones.
    candidates = []
    for name in names:
        dtypes = BACKENDS[name].dtypes(device) or BACKENDS[name].dtypes(device, emulated=True)
        floats = [one for one in dtypes if one != "int8"]
        candidates += [(name, "int8")] if calibrated and "int8" in dtypes else []
        candidates += [(name, one) for one in floats[:1]]
    return candidates


def find_device(name: str) -> torch.device:
    """Return the device of a name; ``auto`` is CUDA if there is one, else the CPU.

    Raises:
        BackendError: if there is no such device.
    """
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


__all__ = ["BACKENDS", "Backend", "BackendError", "ExecutableClassifier", "find_device", "prepare"]
