"""The thin, deep ResNets of the CIFAR experiments.

Reference: He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.
"""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from models.architectures.blocks import BasicBlock, he_initialised, stage


class CifarResNet(nn.Module):
    """6n + 2 layers: a 3×3 stem and three stages of n blocks with 16, 32 and 64 channels."""

    def __init__(self, blocks_per_stage: int, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 16, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.blocks = nn.Sequential(
            *stage(BasicBlock, 16, 16, blocks_per_stage, stride=1),
            *stage(BasicBlock, 16, 32, blocks_per_stage, stride=2),
            *stage(BasicBlock, 32, 64, blocks_per_stage, stride=2),
        )
        self.linear = nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images ``(b, c, h, w)`` to logits ``(b, k)``."""
        features = self.blocks(functional.relu(self.bn(self.stem(x))))
        return cast("Tensor", self.linear(features.mean(dim=(2, 3))))


def cifar_resnet20(num_classes: int, in_channels: int = 3) -> nn.Module:
    """ResNet-20 (n = 3)."""
    return he_initialised(CifarResNet(3, num_classes, in_channels))


def cifar_resnet110(num_classes: int, in_channels: int = 3) -> nn.Module:
    """ResNet-110 (n = 18), the CIFAR network of the randomized smoothing literature."""
    return he_initialised(CifarResNet(18, num_classes, in_channels))
