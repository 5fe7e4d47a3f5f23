"""Wide ResNets for images of about 32×32: pre-activation ResNets with a thin stem and three wide stages.

Reference: Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016, table 1.
"""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from models.architectures.preact_resnet import PreActBlock


class WideResNet(nn.Module):
    """A 3×3 stem of 16 channels and three stages of ``16, 32, 64`` × ``widen_factor`` channels."""

    def __init__(self, blocks_per_stage: int, widen_factor: int, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 16, 3, 1, 1, bias=False)
        stages = []
        planes = 16
        for stage in range(3):
            blocks = []
            for block in range(blocks_per_stage):
                out_planes = 16 * widen_factor * 2**stage
                blocks.append(PreActBlock(planes, out_planes, stride=2 if stage and block == 0 else 1))
                planes = out_planes
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.bn = nn.BatchNorm2d(planes)
        self.linear = nn.Linear(planes, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images ``(b, c, h, w)`` to logits ``(b, k)``."""
        features = functional.relu(self.bn(self.stages(self.stem(x))))
        return cast("Tensor", self.linear(features.mean(dim=(2, 3))))


def wide_resnet(num_classes: int, in_channels: int = 3, depth: int = 34, widen_factor: int = 10) -> nn.Module:
    """WRN-``depth``-``widen_factor``; WRN-34-10 is the usual large network for adversarial training on CIFAR.

    Raises:
        ValueError: if ``depth`` is not 6 n + 4 with n >= 1, or ``widen_factor`` is not positive.
    """
    if depth < 10 or (depth - 4) % 6:
        raise ValueError(f"'depth' must be 6n + 4 with n >= 1 (10, 16, 22, ...), got {depth}")
    if widen_factor < 1:
        raise ValueError(f"'widen_factor' must be >= 1, got {widen_factor}")
    network = WideResNet((depth - 4) // 6, widen_factor, num_classes, in_channels)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network
