"""Reads a clean set: the images from which adaptation estimates batch-norm statistics."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.bundles import Fit
from models.bundles.read import check_clean, read_arrays
from models.errors import CleanSetError, ImageError
from models.images import read_image

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff"})
CLEAN_SET_SIZE = 512


def read_clean(
    path: Path, input_shape: tuple[int, int, int], fit: Fit | None = None, *, count: int = CLEAN_SET_SIZE
) -> NDArray[np.uint8]:
    """Read up to ``count`` images ``(m, c, h, w)`` uint8 from a folder of image files, an npz or npy file.

    Images are taken at even steps in the order of their paths. With one folder per class, the set is
    balanced.

    Raises:
        CleanSetError: if there are no images, or they have another shape and ``fit`` is None.
    """
    if not path.is_dir():
        return check_clean(_evenly(_read_file(path), count), input_shape)
    files = np.array(sorted(str(file) for file in path.rglob("*") if file.suffix.lower() in PICTURES))
    if len(files) == 0:
        raise CleanSetError(f"'clean' must contain image files, found none in {path}")
    images = []
    for file in _evenly(files, count):
        try:
            images.append(read_image(Path(str(file)), input_shape, fit))
        except ImageError as error:
            raise CleanSetError(f"'clean' {Path(str(file)).name}: {error}") from error
    return check_clean(np.stack(images), input_shape)


def _evenly(items: NDArray[np.generic], count: int) -> NDArray[np.generic]:
    if len(items) <= count:
        return items
    return items[np.arange(count) * len(items) // count]


def _read_file(path: Path) -> NDArray[np.generic]:
    arrays = read_arrays(path, f"'clean' must be a folder of image files or an npz file, got {path}")
    if "images" not in arrays and len(arrays) != 1:
        raise CleanSetError(f"'clean' must contain one array, or one named 'images', got {sorted(arrays)}")
    return arrays["images"] if "images" in arrays else next(iter(arrays.values()))
