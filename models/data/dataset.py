"""What a data set is: 8-bit images with labels, and what a card has to say about them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


class DatasetError(ValueError):
    """A data set's files are missing, damaged, or not what they should be."""


@dataclass(frozen=True)
class LabelledImages:
    """Images ``(n, c, h, w)`` uint8 and labels ``(n,)`` int64."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise DatasetError(
                f"'images' must be uint8 (n, c, h, w), got {self.images.dtype} {self.images.shape}"
            )
        if self.labels.shape != (len(self.images),):
            raise DatasetError(
                f"'labels' must hold one label per image ({len(self.images)}), got {self.labels.shape}"
            )

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: NDArray[np.int64]) -> "LabelledImages":
        """Return the images and labels at these positions."""
        return LabelledImages(self.images[indices], self.labels[indices])

    def balanced(self, count: int, generator: np.random.Generator) -> "LabelledImages":
        """Draw up to ``count`` different images, as evenly over the classes as the labels allow."""
        order = generator.permutation(len(self))
        rank = np.zeros(len(self), dtype=np.int64)  # how many of its own class come before an image
        for label in np.unique(self.labels):
            members = np.flatnonzero(self.labels[order] == label)
            rank[members] = np.arange(len(members))
        chosen = order[np.argsort(rank, kind="stable")[:count]]
        return self.take(chosen)


@dataclass(frozen=True)
class Dataset:
    """A training and a test split, and what training has to know about them.

    Attributes:
        name: as in ``DATASETS``.
        classes: names, in the order of the labels.
        train, test: the splits.
        mean, std: of each channel of the training images, in pixel units [0, 1].
        crop_padding: pixels by which training may shift its images; 0 where they are centred by construction.
        licence, licence_text: one line for a card, and the text that has to travel with the images.
    """

    name: str
    classes: tuple[str, ...]
    train: LabelledImages
    test: LabelledImages
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_padding: int
    licence: str
    licence_text: str

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape ``(c, h, w)`` of one image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width
