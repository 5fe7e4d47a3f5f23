"""Which numbers a device computes in fast."""

import torch


def native_bfloat16(device: str) -> bool:
    """Say whether a device type computes in bfloat16 itself; an emulation is slower than float32."""
    if device == "cuda":
        return torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 0)
    if not hasattr(torch.cpu, "get_capabilities"):  # before PyTorch 2.10
        return torch.cpu._is_avx512_bf16_supported()
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16"))
