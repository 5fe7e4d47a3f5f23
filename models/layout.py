"""The fastest memory layout of a network's weights."""

import torch
from torch import nn

_NARROW = 16


def memory_format(network: nn.Module, device: torch.device) -> torch.memory_format:
    """Return the memory layout for the weights; convolutions convert their input to the same layout.

    Channels last is about twice as fast, but on CPUs PyTorch 2.15 crashes in the backward pass of narrow
    convolutions (fewer than 16 channels) over images of 64×64 and more.
    """
    channels = [part.out_channels for part in network.modules() if isinstance(part, nn.Conv2d)]
    if device.type == "cpu" and min(channels, default=_NARROW) < _NARROW:
        return torch.contiguous_format
    return torch.channels_last
