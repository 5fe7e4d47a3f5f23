"""ResNets with ImageNet's widths for images of about 32×32: a 3×3 stem, and no pooling before the stages.

They are the CIFAR networks of MadryLab's robustness library, with its layer names.

Reference: He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016.
"""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional


class Basic(nn.Module):
    """Two 3×3 convolutions, each followed by batch normalisation; the shortcut is 1×1 where shapes change."""

    expansion = 1

    def __init__(self, in_planes: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = _shortcut(in_planes, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(b, in_planes, h, w)`` to ``(b, planes, h / stride, w / stride)``."""
        out = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class Bottleneck(nn.Module):
    """Convolutions of 1×1, 3×3 and 1×1; the last one quadruples the channels."""

    expansion = 4

    def __init__(self, in_planes: int, planes: int, stride: int) -> None:
        super().__init__()
        out_planes = self.expansion * planes
        self.conv1 = nn.Conv2d(in_planes, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, out_planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_planes)
        self.shortcut = _shortcut(in_planes, out_planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(b, in_planes, h, w)`` to ``(b, 4 · planes, h / stride, w / stride)``."""
        out = functional.relu(self.bn1(self.conv1(x)))
        out = functional.relu(self.bn2(self.conv2(out)))
        return functional.relu(self.bn3(self.conv3(out)) + self.shortcut(x))


def _shortcut(in_planes: int, out_planes: int, stride: int) -> nn.Sequential:
    if stride == 1 and in_planes == out_planes:
        return nn.Sequential()
    return nn.Sequential(nn.Conv2d(in_planes, out_planes, 1, stride, bias=False), nn.BatchNorm2d(out_planes))


class SmallImageResNet(nn.Module):
    """Four stages of 64, 128, 256 and 512 channels, average pooling and a linear layer."""

    def __init__(
        self,
        block: type[Basic] | type[Bottleneck],
        depths: tuple[int, int, int, int],
        num_classes: int,
        in_channels: int,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        stages = []
        planes = 64
        for stage, depth in enumerate(depths):
            blocks: list[nn.Module] = []
            for number in range(depth):
                blocks.append(block(planes, 64 * 2**stage, stride=2 if stage and number == 0 else 1))
                planes = 64 * 2**stage * block.expansion
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.linear = nn.Linear(planes, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images ``(b, c, h, w)`` to logits ``(b, k)``."""
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.layer4(self.layer3(self.layer2(self.layer1(out))))
        return cast("Tensor", self.linear(out.mean(dim=(2, 3))))


def small_image_resnet18(num_classes: int, in_channels: int = 3) -> nn.Module:
    """ResNet-18 for images of about 32×32."""
    return SmallImageResNet(Basic, (2, 2, 2, 2), num_classes, in_channels)


def small_image_resnet50(num_classes: int, in_channels: int = 3) -> nn.Module:
    """ResNet-50 for images of about 32×32."""
    return SmallImageResNet(Bottleneck, (3, 4, 6, 3), num_classes, in_channels)
