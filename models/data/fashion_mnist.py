"""Fashion-MNIST: 70 000 grey 28×28 images of clothing in ten classes.

Reference: Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms", arXiv 1708.07747. Debian ships it as the package ``dataset-fashion-mnist``.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.data.dataset import Dataset, LabelledImages
from models.errors import DatasetError

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
CLASSES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle-boot",
)


FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_UNSIGNED_BYTES = 0x0800
_MAX_BYTES = 1 << 32  # no such data set is larger: stops gzip bombs


def load_fashion_mnist(root: Path | None = None, *, download: bool = False) -> Dataset:
    """Read both splits; the pixels stay 8-bit, ``(60000, 1, 28, 28)`` and ``(10000, 1, 28, 28)``.

    Raises:
        DatasetError: if the files are not found or damaged.
    """
    train_images, train_labels, test_images, test_labels = find_fashion_mnist(root, download=download)
    return Dataset(
        name="fashion-mnist",
        classes=CLASSES,
        train=_read_split(train_images, train_labels),
        test=_read_split(test_images, test_labels),
        mean=(0.2860,),
        std=(0.3530,),
        crop_padding=0,
        licence="MIT, Copyright (c) 2017 Zalando SE",
    )


def find_fashion_mnist(root: Path | None = None, *, download: bool = False) -> list[Path]:
    """Find the four files of ``FILES``, plain or gzipped.

    Only ``root`` is searched if it is given; else Debian's folder, then the cache. torchvision downloads into
    ``root``, or the cache.

    Raises:
        DatasetError: if the files are in none of these folders and may not be downloaded.
    """
    cache = Path.home() / ".cache" / "radii"
    bases = [root] if root is not None else [DEBIAN_FOLDER, cache]
    for folder in (place for base in bases for place in (base, base / "FashionMNIST" / "raw")):
        files = _idx_files(folder)
        if len(files) == len(FILES):
            return files
    if not download:
        places = ", ".join(map(str, bases))
        raise DatasetError(
            f"'dataset' fashion-mnist: its idx files must be in one of: {places}; install Debian's "
            "dataset-fashion-mnist or allow the download"
        )
    return _download(root or cache)


def _download(folder: Path) -> list[Path]:
    from torchvision.datasets import FashionMNIST  # slow to import, and needed only here

    try:
        FashionMNIST(str(folder), download=True)
    except (OSError, RuntimeError) as error:
        raise DatasetError(f"'dataset' fashion-mnist: the download into {folder} failed: {error}") from error
    return _idx_files(folder / "FashionMNIST" / "raw")


def _idx_files(folder: Path) -> list[Path]:
    """Return the files of ``FILES`` that a folder has."""
    found = []
    for name in FILES:
        found += [path for path in (folder / name, folder / f"{name}.gz") if path.is_file()][:1]
    return found


def _read_split(images: Path, labels: Path) -> LabelledImages:
    classes = read_idx(labels, dimensions=1).astype(np.int64)
    if classes.size and classes.max() >= len(CLASSES):
        raise DatasetError(f"{labels.name}: labels must be < {len(CLASSES)}, got {classes.max()}")
    return LabelledImages(read_idx(images, dimensions=3)[:, None], classes)


def read_idx(path: Path, *, dimensions: int) -> NDArray[np.uint8]:
    """Read an idx file of unsigned bytes: a magic number, the shape in big-endian 32-bit integers, the bytes.

    torchvision reads these files too, but not gzipped ones, as Debian's are.

    Raises:
        DatasetError: if the file cannot be read, is not such a file, or its length does not match its shape.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(_MAX_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path.name}: cannot be read: {error}") from error
    start = 4 * (1 + dimensions)
    magic, *shape = struct.unpack(f">{1 + dimensions}I", content[:start].ljust(start, b"\0"))
    if magic != _UNSIGNED_BYTES + dimensions:
        raise DatasetError(
            f"{path.name}: must start with 0x{_UNSIGNED_BYTES + dimensions:08x}, got 0x{content[:4].hex()}"
        )
    if len(content) != start + math.prod(shape):
        raise DatasetError(
            f"{path.name}: must have {start + math.prod(shape)} bytes for shape {shape}, got {len(content)}"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape).copy()
