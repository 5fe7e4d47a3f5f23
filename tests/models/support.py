"""Small real files and classifiers that the tests of ``models`` share."""

import struct

import numpy as np
from numpy.typing import NDArray
from torch import nn

from models.architectures import build_architecture
from models.bundles import ZOO, Description
from models.initialise import initialised_from

SHIPPED = ZOO / "fashion-mnist-gaussian"


def idx_bytes(values: NDArray[np.uint8]) -> bytes:
    header = struct.pack(">HBB", 0, 0x08, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.tobytes()


def describe(**changes: object) -> Description:
    fields: dict[str, object] = {
        "name": "tiny",
        "architecture": "preact_resnet18",
        "arguments": {"width": 2},
        "classes": ("cat", "dog", "bird"),
        "input_shape": (1, 8, 8),
        "mean": (0.3,),
        "std": (0.4,),
    }
    return Description.model_validate({**fields, **changes})


def tiny_network(num_classes: int = 3, seed: int = 0) -> nn.Module:
    with initialised_from(seed):
        return build_architecture("preact_resnet18", num_classes, 1, {"width": 2})


def grey_images(count: int, size: int = 8, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 1, size, size), dtype=np.uint8)
