"""Pre-activation ResNet for small images.

Reference: He, Zhang, Ren and Sun, "Identity Mappings in Deep Residual Networks", ECCV 2016.
"""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from models.architectures.blocks import PreActBlock, he_initialised, stage


class PreActResNet(nn.Module):
    """A 3×3 stem, four stages of pre-activation blocks, then BN, ReLU, average pooling and a linear layer."""

    def __init__(self, depths: tuple[int, ...], num_classes: int, in_channels: int, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, width, 3, 1, 1, bias=False)
        blocks = stage(PreActBlock, width, width, depths[0], stride=1)
        for number, depth in enumerate(depths[1:]):
            blocks += stage(PreActBlock, width * 2**number, width * 2 ** (number + 1), depth, stride=2)
        self.blocks = nn.Sequential(*blocks)
        planes = width * 2 ** (len(depths) - 1)
        self.bn = nn.BatchNorm2d(planes)
        self.linear = nn.Linear(planes, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images ``(b, c, h, w)`` to logits ``(b, k)``."""
        features = functional.relu(self.bn(self.blocks(self.stem(x))))
        return cast("Tensor", self.linear(features.mean(dim=(2, 3))))


def preact_resnet18(num_classes: int, in_channels: int = 3, width: int = 64) -> nn.Module:
    """PreActResNet-18 with stages of ``width`` × 1, 2, 4, 8 channels, for images of about 28×28 or 32×32.

    Raises:
        ValueError: if ``width`` is not positive.
    """
    if width < 1:
        raise ValueError(f"'width' must be >= 1, got {width}")
    return he_initialised(PreActResNet((2, 2, 2, 2), num_classes, in_channels, width))
