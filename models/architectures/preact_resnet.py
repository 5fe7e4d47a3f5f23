"""Pre-activation ResNet for small images.

Reference: He, Zhang, Ren and Sun, "Identity Mappings in Deep Residual Networks", ECCV 2016.
"""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional


class PreActBlock(nn.Module):
    """Two 3×3 convolutions, each after batch normalisation and ReLU, with an additive shortcut."""

    def __init__(self, in_planes: int, planes: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_planes)
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.shortcut: nn.Module | None = None
        if stride != 1 or in_planes != planes:
            self.shortcut = nn.Conv2d(in_planes, planes, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(b, in_planes, h, w)`` to ``(b, planes, h / stride, w / stride)``."""
        activated = functional.relu(self.bn1(x))
        # As in the paper, a shortcut that changes the shape starts from the activated features.
        kept = x if self.shortcut is None else self.shortcut(activated)
        out = self.conv1(activated)
        out = self.conv2(functional.relu(self.bn2(out)))
        return cast("Tensor", out + kept)


class PreActResNet(nn.Module):
    """A 3×3 stem, four stages of pre-activation blocks, then BN, ReLU, average pooling and a linear layer."""

    def __init__(self, depths: tuple[int, ...], num_classes: int, in_channels: int, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, width, 3, 1, 1, bias=False)
        blocks: list[nn.Module] = []
        planes = width
        for stage, depth in enumerate(depths):
            out_planes = width * 2**stage
            for block in range(depth):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(PreActBlock(planes, out_planes, stride))
                planes = out_planes
        self.blocks = nn.Sequential(*blocks)
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
    network = PreActResNet((2, 2, 2, 2), num_classes, in_channels, width)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network
