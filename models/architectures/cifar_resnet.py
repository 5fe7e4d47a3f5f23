"""The thin, deep ResNets of the CIFAR experiments.

Reference: He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.
"""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional


class BasicBlock(nn.Module):
    """Two 3×3 convolutions, each followed by batch normalisation; the shortcut is 1×1 where shapes change."""

    def __init__(self, in_planes: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_planes != planes:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_planes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(b, in_planes, h, w)`` to ``(b, planes, h / stride, w / stride)``."""
        out = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class CifarResNet(nn.Module):
    """6n + 2 layers: a 3×3 stem and three stages of n blocks with 16, 32 and 64 channels."""

    def __init__(self, blocks_per_stage: int, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 16, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        blocks: list[nn.Module] = []
        planes = 16
        for out_planes in (16, 32, 64):
            for _ in range(blocks_per_stage):
                blocks.append(BasicBlock(planes, out_planes, stride=1 if planes == out_planes else 2))
                planes = out_planes
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(planes, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images ``(b, c, h, w)`` to logits ``(b, k)``."""
        features = self.blocks(functional.relu(self.bn(self.stem(x))))
        return cast("Tensor", self.linear(features.mean(dim=(2, 3))))


def cifar_resnet20(num_classes: int, in_channels: int = 3) -> nn.Module:
    """ResNet-20 (n = 3)."""
    return _initialised(CifarResNet(3, num_classes, in_channels))


def cifar_resnet110(num_classes: int, in_channels: int = 3) -> nn.Module:
    """ResNet-110 (n = 18), the CIFAR network of the randomized smoothing literature."""
    return _initialised(CifarResNet(18, num_classes, in_channels))


def _initialised(network: CifarResNet) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network
