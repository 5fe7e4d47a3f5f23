"""Translates the layer names of public code into those of our architectures.

The networks are the same, layer by layer; only the names differ.

Reference: archs/cifar_resnet.py of locuslab/smoothing and of its descendants (Salman et al., MACER,
consistency), preactresnet.py of locuslab/robust_overfitting, and wideresnet.py of
xternalz/WideResNet-pytorch, whose names yaodongyu/TRADES and its descendants keep.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

_BLOCK: Final = re.compile(r"layer(\d+)\.(\d+)\.(.+)")
_WIDE_BLOCK: Final = re.compile(r"block(\d+)\.layer\.(.+)")


def _thin_resnet(key: str, blocks_per_stage: int) -> str:
    """``conv1, bn1, layer1.0.conv1, layer2.0.downsample.0, fc`` of locuslab/smoothing."""
    if found := _BLOCK.fullmatch(key):
        stage, block, rest = found.groups()
        number = (int(stage) - 1) * blocks_per_stage + int(block)
        return f"blocks.{number}.{rest.replace('downsample.', 'shortcut.')}"
    return _renamed(key, {"conv1.": "stem.", "bn1.": "bn.", "fc.": "linear."})


def _preact_resnet18(key: str) -> str:
    """``conv1, layer1.0.conv1, layer2.0.shortcut.0, bn, linear`` of locuslab/robust_overfitting."""
    if found := _BLOCK.fullmatch(key):
        stage, block, rest = found.groups()
        return f"blocks.{(int(stage) - 1) * 2 + int(block)}.{rest.replace('shortcut.0.', 'shortcut.')}"
    return _renamed(key, {"conv1.": "stem."})


def _wide_resnet(key: str) -> str:
    """``conv1, block1.layer.0.conv1, block1.layer.0.convShortcut, bn1, fc`` of WideResNet-pytorch.

    TRADES' own checkpoints also contain a ``sub_block1``, which its network never uses. It has no name here.
    """
    if found := _WIDE_BLOCK.fullmatch(key):
        stage, rest = found.groups()
        return f"stages.{int(stage) - 1}.{rest.replace('convShortcut.', 'shortcut.')}"
    return _renamed(key, {"conv1.": "stem.", "bn1.": "bn.", "fc.": "linear."})


def _renamed(key: str, beginnings: Mapping[str, str]) -> str:
    for theirs, ours in beginnings.items():
        if key.startswith(theirs):
            return ours + key.removeprefix(theirs)
    return key


_NAMES: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {
        "cifar_resnet20": lambda key: _thin_resnet(key, 3),
        "cifar_resnet110": lambda key: _thin_resnet(key, 18),
        "preact_resnet18": _preact_resnet18,
        "wide_resnet": _wide_resnet,
    }
)


def own_name(architecture: str, key: str) -> str:
    """Return the name of a layer's weight in our architecture, given its name in public code.

    >>> own_name("preact_resnet18", "layer2.0.shortcut.0.weight")
    'blocks.2.shortcut.weight'
    >>> own_name("cifar_resnet110", "layer2.0.downsample.1.bias")
    'blocks.18.shortcut.1.bias'
    """
    translate = _NAMES.get(architecture)
    return key if translate is None else translate(key)
