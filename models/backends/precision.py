"""The precisions that a device computes natively, and real float32 without TF32."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def native_bfloat16(device: str) -> bool:
    """Return whether a device type computes bfloat16 natively; emulation is slower than float32."""
    if device == "cuda":
        return torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 0)
    if not hasattr(torch.cpu, "get_capabilities"):  # before PyTorch 2.10
        return torch.cpu._is_avx512_bf16_supported()
    return _has_any("avx512_bf16", "amx_bf16", "bf16")


def native_int8() -> bool:
    """Return whether the CPU has an instruction that multiplies bytes and adds in 32 bits.

    Without one, int8 is not faster, and on some CPUs intermediate 16-bit sums overflow.
    """
    if not hasattr(torch.cpu, "get_capabilities"):  # before PyTorch 2.10
        return torch.cpu._is_vnni_supported()
    return _has_any("avx512_vnni", "avx_vnni", "amx_int8")


def _has_any(*names: str) -> bool:
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(name)) for name in names)


@contextmanager
def float32_means_float32(device: torch.device) -> Iterator[None]:
    """Switch TF32 off inside a block: its products have a mantissa of 10 bits, those of float32 23."""
    if device.type != "cuda":
        yield
        return
    cudnn: Any = torch.backends.cudnn
    kinds: tuple[Any, ...] = (torch.backends.cuda.matmul, cudnn.conv)
    before = [kind.fp32_precision for kind in kinds]
    for kind in kinds:
        kind.fp32_precision = "ieee"
    try:
        yield
    finally:
        for kind, value in zip(kinds, before, strict=True):
            kind.fp32_precision = value
