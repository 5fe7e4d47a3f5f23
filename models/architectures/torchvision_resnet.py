"""torchvision's ResNets, without pretrained weights, for images of about 224×224."""

from torch import nn


def torchvision_resnet18(num_classes: int, in_channels: int = 3) -> nn.Module:
    """ResNet-18 of torchvision; its state dict has torchvision's own keys."""
    from torchvision.models import resnet18  # slow: workers start without it

    return _with_stem(resnet18(weights=None, num_classes=num_classes), in_channels)


def torchvision_resnet50(num_classes: int, in_channels: int = 3) -> nn.Module:
    """ResNet-50 of torchvision; its state dict has torchvision's own keys."""
    from torchvision.models import resnet50  # slow: workers start without it

    return _with_stem(resnet50(weights=None, num_classes=num_classes), in_channels)


def _with_stem(network: nn.Module, in_channels: int) -> nn.Module:
    if in_channels != 3:
        network.conv1 = nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False)
    return network
