"""ResNets with ImageNet's widths for images of about 32×32: a 3×3 stem, and no pooling before the stages.

They are the CIFAR networks of MadryLab's robustness library, with its layer names.

Reference: He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016.
"""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from models.architectures.blocks import BasicBlock, Block, Bottleneck, stage


class SmallImageResNet(nn.Module):
    """Four stages of 64, 128, 256 and 512 channels, average pooling and a linear layer."""

    def __init__(
        self, block: Block, depths: tuple[int, int, int, int], num_classes: int, in_channels: int
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        expansion = block.expansion
        self.layer1 = nn.Sequential(*stage(block, 64, 64, depths[0], stride=1))
        self.layer2 = nn.Sequential(*stage(block, 64 * expansion, 128, depths[1], stride=2))
        self.layer3 = nn.Sequential(*stage(block, 128 * expansion, 256, depths[2], stride=2))
        self.layer4 = nn.Sequential(*stage(block, 256 * expansion, 512, depths[3], stride=2))
        self.linear = nn.Linear(512 * expansion, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images ``(b, c, h, w)`` to logits ``(b, k)``."""
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.layer4(self.layer3(self.layer2(self.layer1(out))))
        return cast("Tensor", self.linear(out.mean(dim=(2, 3))))


def small_image_resnet18(num_classes: int, in_channels: int = 3) -> nn.Module:
    """ResNet-18 for images of about 32×32."""
    return SmallImageResNet(BasicBlock, (2, 2, 2, 2), num_classes, in_channels)


def small_image_resnet50(num_classes: int, in_channels: int = 3) -> nn.Module:
    """ResNet-50 for images of about 32×32."""
    return SmallImageResNet(Bottleneck, (3, 4, 6, 3), num_classes, in_channels)
