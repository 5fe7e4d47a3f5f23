"""Image files on disk that are decoded on access."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.bundles import Fit
from models.errors import DatasetError, ImageError
from models.images import read_image

_THREADS = 8  # decoding releases Python's lock


@dataclass(frozen=True)
class Pictures:
    """Image files that can be indexed like an array ``(n, c, h, w)`` uint8.

    Attributes:
        paths: one file per image.
        image_shape: ``(c, h, w)`` of a decoded image: the centre of the resized one.
        fit: how images are resized.
    """

    paths: tuple[Path, ...]
    image_shape: tuple[int, int, int]
    fit: Fit

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> NDArray[np.uint8]:
        """Decode one image ``(c, h, w)``, or several ``(m, c, h, w)`` for a slice or an integer array.

        Raises:
            DatasetError: if a file is not an image; the message names the file.
        """
        chosen = np.arange(len(self))[index]
        if chosen.ndim == 0:
            return self._decode(int(chosen))
        with ThreadPoolExecutor(_THREADS) as threads:
            images = list(threads.map(self._decode, chosen.tolist()))
        return np.stack(images) if images else np.empty((0, *self.image_shape), np.uint8)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the array."""
        return (len(self), *self.image_shape)

    @property
    def ndim(self) -> int:
        """Number of dimensions of the array."""
        return 4

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """Data type of the array."""
        return np.dtype(np.uint8)

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> "Pictures":
        """Return the images at these positions, without decoding them."""
        return replace(self, paths=tuple(self.paths[index] for index in indices))

    def centred(self, margin: int) -> "Pictures":
        """Return the images with ``margin`` pixels cropped on each side."""
        channels, height, width = self.image_shape
        return replace(self, image_shape=(channels, height - 2 * margin, width - 2 * margin))

    def _decode(self, index: int) -> NDArray[np.uint8]:
        path = self.paths[index]
        try:
            return read_image(path, self.image_shape, self.fit)
        except ImageError as error:
            raise DatasetError(f"{path}: {error}") from error
