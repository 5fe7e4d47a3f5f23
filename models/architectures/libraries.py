"""Networks of torchvision and timm, built without pretrained weights."""

from collections.abc import Callable
from typing import Any

from torch import nn


def from_torchvision(name: str, num_classes: int, in_channels: int, **arguments: Any) -> nn.Module:
    """Build ``torchvision.models.<name>``.

    Raises:
        ValueError: if torchvision has no such classifier, or images do not have 3 channels.
    """
    import torchvision  # slow: workers start without it

    if in_channels != 3:
        raise ValueError(f"'input_shape' must have 3 channels for torchvision:{name}, got {in_channels}")
    if name not in torchvision.models.list_models(torchvision.models):
        raise ValueError(f"'architecture' must name a classifier of torchvision, got torchvision:{name}")
    network: nn.Module = torchvision.models.get_model(
        name, weights=None, num_classes=num_classes, **arguments
    )
    return network


def torchvision_resnet(name: str, num_classes: int, in_channels: int = 3) -> nn.Module:
    """Build a ResNet under torchvision's own keys; its stem takes any number of channels."""
    network = from_torchvision(name, num_classes, 3)
    if in_channels != 3:
        network.conv1 = nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False)
    return network


def from_timm(name: str, num_classes: int, in_channels: int, **arguments: Any) -> nn.Module:
    """Build ``timm.create_model(name)``.

    Raises:
        ValueError: if timm is not installed or has no such model.
    """
    try:
        import timm
    except ImportError as error:
        raise ValueError(
            f"'architecture' timm:{name} needs the package timm, which is not installed"
        ) from error
    if not timm.is_model(name):
        raise ValueError(f"'architecture' must name a model of timm, got timm:{name}")
    network: nn.Module = timm.create_model(
        name, pretrained=False, num_classes=num_classes, in_chans=in_channels, **arguments
    )
    return network


LIBRARIES: dict[str, Callable[..., nn.Module]] = {"torchvision": from_torchvision, "timm": from_timm}
