"""Data sets: 8-bit images with labels, and what a card states about them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.data.pictures import Pictures
from models.errors import DatasetError

LICENCES = Path(__file__).parent / "licences"


@dataclass(frozen=True)
class LabelledImages:
    """Images and their classes.

    Attributes:
        images: ``(n, c, h, w)`` uint8, in memory or decoded on access.
        labels: ``(n,)`` int64.
        margin: pixels on each side by which images are larger than the classifier's input: room for random
            crops.
    """

    images: NDArray[np.uint8] | Pictures
    labels: NDArray[np.int64]
    margin: int = 0

    def __post_init__(self) -> None:
        if self.labels.shape != (len(self.images),):
            raise DatasetError(
                f"'labels' must have one label per image ({len(self.images)}), got {self.labels.shape}"
            )

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: NDArray[np.int64]) -> "LabelledImages":
        """Return the images and labels at these positions."""
        lazy = isinstance(self.images, Pictures)
        images = self.images.take(indices) if lazy else self.images[indices]
        return LabelledImages(images, self.labels[indices], self.margin)

    def centred(self) -> "LabelledImages":
        """Return the images without their margin."""
        if self.margin == 0:
            return self
        edge = slice(self.margin, -self.margin)
        images = self.images
        inner = images.centred(self.margin) if isinstance(images, Pictures) else images[:, :, edge, edge]
        return LabelledImages(inner, self.labels)

    def balanced(self, count: int, generator: np.random.Generator) -> "LabelledImages":
        """Draw up to ``count`` different images, as evenly over the classes as the labels allow."""
        order = generator.permutation(len(self))
        rank = np.zeros(len(self), dtype=np.int64)  # number of images of the same class before this one
        for label in np.unique(self.labels):
            members = np.flatnonzero(self.labels[order] == label)
            rank[members] = np.arange(len(members))
        # By rank: first one image of every class, then a second one of every class, and so on.
        chosen = order[np.argsort(rank, kind="stable")[:count]]
        return self.take(chosen)


@dataclass(frozen=True)
class Dataset:
    """A training and a test split, and what training needs to know about them.

    Attributes:
        name: as in ``DATASETS``.
        classes: names, in the order of the labels.
        train, test: the splits.
        mean, std: of each channel of the training images, in pixel units [0, 1].
        crop_padding: pixels by which training may shift its images; 0 if they are centred by construction, or
            have a margin.
        resize: length of the shorter side to which images of another size are resized; None: the images' own.
        licence: one line for a card.
    """

    name: str
    classes: tuple[str, ...]
    train: LabelledImages
    test: LabelledImages
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_padding: int
    licence: str
    resize: int | None = None

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape ``(c, h, w)`` of a classifier's input."""
        channels, height, width = self.test.images.shape[1:]
        return channels, height, width

    @property
    def licence_text(self) -> str:
        """The text to distribute with the images."""
        return (LICENCES / f"{self.name}.txt").read_text(encoding="utf-8")
