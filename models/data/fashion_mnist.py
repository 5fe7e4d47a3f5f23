"""Fashion-MNIST: 70 000 grey 28×28 images of clothing in ten classes.

Reference: Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms", arXiv 1708.07747. Debian ships it as the package ``dataset-fashion-mnist``.
"""

from pathlib import Path

import numpy as np

from models.data.dataset import Dataset, LabelledImages
from models.data.idx import read_idx
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
LICENCE_TEXT = """Fashion-MNIST
https://github.com/zalandoresearch/fashion-mnist

The MIT License (MIT)

Copyright (c) 2017 Zalando SE, https://tech.zalando.com

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""


def load_fashion_mnist(root: Path | None = None, *, download: bool = False) -> Dataset:
    """Read both splits; the pixels stay 8-bit, ``(60000, 1, 28, 28)`` and ``(10000, 1, 28, 28)``.

    Raises:
        DatasetError: if the files are not found or damaged.
    """
    folder = find_fashion_mnist(root, download=download)
    return Dataset(
        name="fashion-mnist",
        classes=CLASSES,
        train=_read_split(folder, "train"),
        test=_read_split(folder, "t10k"),
        mean=(0.2860,),
        std=(0.3530,),
        crop_padding=0,
        licence="MIT, Copyright (c) 2017 Zalando SE",
        licence_text=LICENCE_TEXT,
    )


def find_fashion_mnist(root: Path | None = None, *, download: bool = False) -> Path:
    """Find the folder with the four idx files.

    Only ``root`` is searched if it is given; else Debian's folder, then the cache. torchvision downloads into
    ``root``, or the cache.

    Raises:
        DatasetError: if the files are in none of these folders and may not be downloaded.
    """
    cache = Path.home() / ".cache" / "radii"
    bases = [root] if root is not None else [DEBIAN_FOLDER, cache]
    folders = [folder for base in bases for folder in (base, base / "FashionMNIST" / "raw")]
    for folder in folders:
        if all(
            _idx_file(folder, split, kind) for split in ("train", "t10k") for kind in ("images", "labels")
        ):
            return folder
    if not download:
        places = ", ".join(map(str, bases))
        raise DatasetError(
            f"'dataset' fashion-mnist: its idx files must be in one of: {places}; install Debian's "
            "dataset-fashion-mnist or allow the download"
        )
    return _download(root or cache)


def _download(folder: Path) -> Path:
    from torchvision.datasets import FashionMNIST  # slow to import, and needed only here

    try:
        FashionMNIST(str(folder), download=True)
    except (OSError, RuntimeError) as error:
        raise DatasetError(f"'dataset' fashion-mnist: the download into {folder} failed: {error}") from error
    return folder / "FashionMNIST" / "raw"


def _idx_file(folder: Path, split: str, kind: str) -> Path | None:
    dimensions = {"images": 3, "labels": 1}[kind]
    stem = f"{split}-{kind}-idx{dimensions}-ubyte"
    candidates = (folder / stem, folder / f"{stem}.gz")
    return next((path for path in candidates if path.is_file()), None)


def _read_split(folder: Path, split: str) -> LabelledImages:
    paths = {kind: _idx_file(folder, split, kind) for kind in ("images", "labels")}
    if paths["images"] is None or paths["labels"] is None:
        raise DatasetError(f"'dataset' fashion-mnist: {split} files must be in {folder}")
    images = read_idx(paths["images"], dimensions=3)[:, None]
    labels = read_idx(paths["labels"], dimensions=1).astype(np.int64)
    if labels.size and labels.max() >= len(CLASSES):
        raise DatasetError(f"{paths['labels'].name}: labels must be < {len(CLASSES)}, got {labels.max()}")
    return LabelledImages(images, labels)
