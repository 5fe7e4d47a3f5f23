"""PyTorch as it is: channels-last, in float32 or bfloat16."""

import copy

import torch
from torch import Tensor, nn

from models.backends.base import Logits
from models.backends.precision import native_bfloat16


class EagerBackend:
    """Runs the module layer by layer; works everywhere.

    In bfloat16, convolutions and linear layers have bfloat16 weights and run under autocast, which keeps what
    is delicate (normalisation of the image, statistics and scales of batch normalisation) in float32, and
    suits networks that mix in parameters of their own. On two cores this is as fast as casting the whole
    network, and folding batch normalisation into convolutions gains nothing.
    """

    def dtypes(self, device: torch.device, *, emulated: bool = False) -> tuple[str, ...]:
        """Return the precisions it offers on a device, the fastest first."""
        if native_bfloat16(device.type):
            return ("bfloat16", "float32")
        return ("float32", "bfloat16") if emulated else ("float32",)

    def build(
        self, module: nn.Module, *, device: torch.device, dtype: str, input_shape: tuple[int, int, int]
    ) -> Logits:
        """Return a callable that works on a copy of the module."""
        del input_shape
        copied = copy.deepcopy(module).to(device).to(memory_format=torch.channels_last)
        copied.requires_grad_(requires_grad=False)
        reduced = dtype == "bfloat16"
        if reduced:
            _cast_weights(copied)

        @torch.inference_mode()
        def logits(images: Tensor) -> Tensor:
            with torch.autocast(device.type, torch.bfloat16, enabled=reduced):
                result: Tensor = copied(images.contiguous(memory_format=torch.channels_last))
            return result.float()

        return logits


def _cast_weights(module: nn.Module) -> None:
    """Cast once what autocast would cast in every call."""
    for part in module.modules():
        if type(part) in (nn.Conv2d, nn.Linear):  # a subclass may use its weights in other ways
            part.to(torch.bfloat16)
