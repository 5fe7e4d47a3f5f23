"""Small real files and classifiers that the tests of ``models`` share."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import nn

from models.architectures import build_architecture
from models.bundles import ZOO, Description
from models.initialise import initialised_from

SHIPPED = ZOO / "fashion-mnist-gaussian"


def idx_bytes(values: NDArray[np.uint8]) -> bytes:
    header = struct.pack(">HBB", 0, 0x08, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.tobytes()


def require_corruptions() -> None:
    """Skip a test where the package's OpenCV lacks libraries of the system, which pip cannot install."""
    try:
        import imagecorruptions  # noqa: F401
    except ImportError as error:
        pytest.skip(f"imagecorruptions cannot be imported: {error}")


def write_synthetic_fashion(folder: Path, size: int = 12) -> Path:
    """The four files of Fashion-MNIST with 48 + 20 square images, whose brightness is the class."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 48), ("t10k", 20)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        noise = generator.integers(0, 20, (count, size, size), dtype=np.uint8)
        images = noise + labels[:, None, None] * np.uint8(20)
        (folder / f"{split}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(images)))
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    return folder


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
