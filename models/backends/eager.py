"""Eager PyTorch: channels-last, in float32, bfloat16 or, on GPUs, float16."""

import copy

import torch
from torch import Tensor, nn

from models.backends.base import BuildRequest, Logits
from models.backends.precision import float32_means_float32, native_bfloat16


class EagerBackend:
    """Runs the module layer by layer; works everywhere.

    In bfloat16 and float16, convolutions and linear layers have weights of that type and run under autocast.
    Autocast keeps sensitive operations (normalisation of the image, statistics and scales of batch
    normalisation) in float32, and handles networks with parameters of their own. On two cores this is as fast
    as casting the whole network, and folding batch normalisation into convolutions gains nothing.

    Float32 is real float32: TF32 is off during execution, for any setting of the process.
    """

    def dtypes(self, device: torch.device, *, emulated: bool = False) -> tuple[str, ...]:
        """Return the precisions it offers on a device, the fastest first."""
        if device.type == "cuda":
            return ("bfloat16", "float16", "float32") if native_bfloat16("cuda") else ("float16", "float32")
        if native_bfloat16(device.type):
            return ("bfloat16", "float32")
        return ("float32", "bfloat16") if emulated else ("float32",)

    def build(self, request: BuildRequest) -> Logits:
        """Return a callable that works on a copy of the module."""
        forward = in_precision(request)

        @torch.inference_mode()
        def logits(images: Tensor) -> Tensor:
            with float32_means_float32(request.device):
                return forward(images)

        return logits


def in_precision(request: BuildRequest) -> Logits:
    """Return the forward pass of a channels-last copy of the module; images and logits are float32."""
    copied = copy.deepcopy(request.module).to(request.device).to(memory_format=torch.channels_last)
    copied.requires_grad_(requires_grad=False)
    number = getattr(torch, request.dtype)
    reduced = number != torch.float32
    if reduced:
        _cast_weights(copied, number)

    def forward(images: Tensor) -> Tensor:
        with torch.autocast(request.device.type, number if reduced else None, enabled=reduced):
            result: Tensor = copied(images.contiguous(memory_format=torch.channels_last))
        return result.float()

    return forward


def _cast_weights(module: nn.Module, number: torch.dtype) -> None:
    """Cast the weights once; autocast would cast them in every call."""
    for part in module.modules():
        if type(part) in (nn.Conv2d, nn.Linear):  # a subclass may use its weights in other ways
            part.to(number)
