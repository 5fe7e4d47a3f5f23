"""The residual blocks of the ResNets here, and what their networks share."""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional


class BasicBlock(nn.Module):
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


class PreActBlock(nn.Module):
    """Two 3×3 convolutions, each after batch normalisation and ReLU, with an additive shortcut."""

    expansion = 1

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


def _shortcut(in_planes: int, out_planes: int, stride: int) -> nn.Sequential:
    if stride == 1 and in_planes == out_planes:
        return nn.Sequential()
    return nn.Sequential(nn.Conv2d(in_planes, out_planes, 1, stride, bias=False), nn.BatchNorm2d(out_planes))


Block = type[BasicBlock] | type[Bottleneck] | type[PreActBlock]


def stage(block: Block, in_planes: int, planes: int, depth: int, stride: int) -> list[nn.Module]:
    """Return ``depth`` blocks of one width; the first one changes the channels and has the stride."""
    out_planes = planes * block.expansion
    return [block(in_planes, planes, stride), *(block(out_planes, planes, 1) for _ in range(depth - 1))]


def he_initialised(network: nn.Module) -> nn.Module:
    """Draw the convolutions' weights as He et al. do, scaled by their outputs, and return the network."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network
