"""ImageNet 2012: 1.28 million colour images in a thousand classes, decoded on access.

Reference: Russakovsky, Deng, Su et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 2015.
"""

from pathlib import Path
from pickle import UnpicklingError

import numpy as np

from models.bundles import Fit
from models.data.dataset import Dataset, LabelledImages
from models.data.pictures import Pictures
from models.errors import DatasetError

SIDE, RESIZE = 224, 256


def load_imagenet(root: Path | None = None, *, download: bool = False) -> Dataset:
    """Find both splits, without decoding any image.

    Training images are centre crops of 256×256, from which training takes random crops of 224×224. Test
    images are centre crops of 224×224.

    Args:
        root: folder with torchvision's ``meta.bin`` and the folders ``train`` and ``val``, one folder per
            class; or with the three archives, which torchvision then unpacks.
        download: ImageNet cannot be downloaded by a program.

    Raises:
        DatasetError: if neither the folders nor the archives are in ``root`` (or the cache folder),
            ``meta.bin`` is damaged, a folder is not one of its classes, or the splits have different classes.
    """
    from torchvision.datasets import ImageNet  # slow to import

    folder = root or Path.home() / ".cache" / "radii" / "imagenet"
    if download:
        raise DatasetError(
            "'download' must be false for imagenet, got true: its owners give access on request"
        )
    try:
        train, test = (ImageNet(str(folder), split) for split in ("train", "val"))
    except (OSError, RuntimeError, ImportError) as error:
        raise DatasetError(f"'dataset' imagenet: its files must be in {folder}: {error}") from error
    except KeyError as error:
        raise DatasetError(
            f"'dataset' imagenet: every folder in {folder}/train and {folder}/val must be a class "
            f"of meta.bin, got {error}"
        ) from error
    except (EOFError, UnpicklingError, TypeError, IndexError, ValueError) as error:
        raise DatasetError(f"'dataset' imagenet: {folder}/meta.bin is damaged") from error
    # Each split numbers its own folders, so different folders would give classes the same number.
    odd = sorted(set(train.wnids) ^ set(test.wnids))
    if odd:
        raise DatasetError(
            f"'dataset' imagenet: {folder}/train and {folder}/val must have the same classes, "
            f"got {len(odd)} in one only: {', '.join(odd[:3])}{', ...' if len(odd) > 3 else ''}"
        )
    return Dataset(
        name="imagenet",
        classes=_names([tuple(names) for names in train.classes]),
        train=_split(train.samples, margin=(RESIZE - SIDE) // 2),
        test=_split(test.samples, margin=0),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        crop_padding=0,
        licence="ImageNet's terms of access: non-commercial research and education",
        resize=RESIZE,
    )


def _split(samples: list[tuple[str, int]], margin: int) -> LabelledImages:
    side = SIDE + 2 * margin
    fit = Fit(resize=RESIZE, interpolation="bilinear")
    pictures = Pictures(tuple(Path(path) for path, _ in samples), (3, side, side), fit)
    return LabelledImages(pictures, np.array([label for _, label in samples], dtype=np.int64), margin)


def _names(synonyms: list[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the first name of each class, or all its names if the first is not unique (\"crane\" is not)."""
    first = [names[0] for names in synonyms]
    return tuple(
        name if first.count(name) == 1 else ", ".join(names)
        for name, names in zip(first, synonyms, strict=True)
    )
