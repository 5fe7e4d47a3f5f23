"""Data sets by name. ``load(root, download=False)`` returns a :class:`Dataset`."""

from collections.abc import Callable
from pathlib import Path

from models.data.cifar10 import load_cifar10
from models.data.dataset import Dataset, LabelledImages
from models.data.fashion_mnist import load_fashion_mnist
from models.data.imagenet import load_imagenet
from models.errors import DatasetError

DATASETS: dict[str, Callable[..., Dataset]] = {
    "fashion-mnist": load_fashion_mnist,
    "cifar10": load_cifar10,
    "imagenet": load_imagenet,
}


def load_dataset(name: str, root: Path | None = None, *, download: bool = False) -> Dataset:
    """Load a registered data set from ``root``, or from its usual folders.

    Raises:
        DatasetError: if the name is not registered, or the files are missing or damaged.
    """
    if name not in DATASETS:
        raise DatasetError(f"'dataset' must be one of {', '.join(sorted(DATASETS))}, got {name!r}")
    return DATASETS[name](root, download=download)


__all__ = ["DATASETS", "Dataset", "DatasetError", "LabelledImages", "load_dataset"]
