"""Networks by name. ``build(num_classes, in_channels, **arguments)`` returns a network with k logits.

``torchvision:NAME`` and ``timm:NAME`` are networks of these libraries.
"""

import functools
from collections.abc import Callable, Mapping

from torch import nn

from models.architectures.cifar_resnet import cifar_resnet20, cifar_resnet110
from models.architectures.libraries import LIBRARIES, torchvision_resnet
from models.architectures.preact_resnet import preact_resnet18
from models.architectures.small_image_resnet import small_image_resnet18, small_image_resnet50
from models.architectures.wide_resnet import wide_resnet

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "preact_resnet18": preact_resnet18,
    "cifar_resnet20": cifar_resnet20,
    "cifar_resnet110": cifar_resnet110,
    "small_image_resnet18": small_image_resnet18,
    "small_image_resnet50": small_image_resnet50,
    "torchvision_resnet18": functools.partial(torchvision_resnet, "resnet18"),
    "torchvision_resnet50": functools.partial(torchvision_resnet, "resnet50"),
    "wide_resnet": wide_resnet,
}


def build_architecture(
    name: str, num_classes: int, in_channels: int, arguments: Mapping[str, object] | None = None
) -> nn.Module:
    """Build a network with newly initialised weights.

    Raises:
        ValueError: if the name is unknown, or the network does not accept one of the arguments.
    """
    build = _builder(name)
    try:
        return build(num_classes, in_channels, **(arguments or {}))
    except TypeError as error:
        raise ValueError(f"'arguments' must suit {name}, got {dict(arguments or {})}: {error}") from error


def _builder(name: str) -> Callable[..., nn.Module]:
    library, separator, model = name.partition(":")
    if separator and library in LIBRARIES:
        return functools.partial(LIBRARIES[library], model)
    if name not in ARCHITECTURES:
        known = [*sorted(ARCHITECTURES), *(f"{library}:NAME" for library in LIBRARIES)]
        raise ValueError(f"'architecture' must be one of {', '.join(known)}, got {name!r}")
    return ARCHITECTURES[name]


__all__ = ["ARCHITECTURES", "build_architecture"]
