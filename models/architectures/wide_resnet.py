"""Wide ResNets for images of about 32×32: pre-activation ResNets with a thin stem and three wide stages.

Reference: Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016, table 1.
"""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from models.architectures.blocks import PreActBlock, he_initialised, stage


class WideResNet(nn.Module):
    """A 3×3 stem of 16 channels and three stages of ``16, 32, 64`` × ``widen_factor`` channels."""

    def __init__(self, blocks_per_stage: int, widen_factor: int, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 16, 3, 1, 1, bias=False)
        widths = [16 * widen_factor * 2**number for number in range(3)]
        self.stages = nn.Sequential(
            nn.Sequential(*stage(PreActBlock, 16, widths[0], blocks_per_stage, stride=1)),
            nn.Sequential(*stage(PreActBlock, widths[0], widths[1], blocks_per_stage, stride=2)),
            nn.Sequential(*stage(PreActBlock, widths[1], widths[2], blocks_per_stage, stride=2)),
        )
        self.bn = nn.BatchNorm2d(widths[2])
        self.linear = nn.Linear(widths[2], num_classes)

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
    return he_initialised(WideResNet((depth - 4) // 6, widen_factor, num_classes, in_channels))
