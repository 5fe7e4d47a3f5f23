"""CIFAR-10: 60 000 colour 32×32 images in ten classes.

Reference: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", technical report, 2009.
"""

from pathlib import Path

import numpy as np

from models.data.dataset import Dataset, LabelledImages
from models.errors import DatasetError


def load_cifar10(root: Path | None = None, *, download: bool = False) -> Dataset:
    """Read both splits; the pixels stay 8-bit, ``(50000, 3, 32, 32)`` and ``(10000, 3, 32, 32)``.

    The files are Python pickles; torchvision reads them only if they have the published checksums.

    Raises:
        DatasetError: if the folder ``cifar-10-batches-py`` is not in ``root`` (or the cache folder), is
            damaged, or cannot be downloaded.
    """
    from torchvision.datasets import CIFAR10  # slow to import

    folder = root or Path.home() / ".cache" / "radii"
    try:
        splits = [CIFAR10(str(folder), train=train, download=download) for train in (True, False)]
    except (OSError, RuntimeError) as error:
        raise DatasetError(f"'dataset' cifar10: its files must be in {folder}: {error}") from error
    train, test = (
        LabelledImages(
            np.ascontiguousarray(split.data.transpose(0, 3, 1, 2)), np.asarray(split.targets, dtype=np.int64)
        )
        for split in splits
    )
    return Dataset(
        name="cifar10",
        classes=tuple(splits[0].classes),
        train=train,
        test=test,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        crop_padding=4,
        licence="none stated by its authors (Krizhevsky, 2009)",
    )
