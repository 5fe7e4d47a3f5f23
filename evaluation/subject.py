"""What is evaluated: a bundle on one device, as trained or adapted to a noise, and the images."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from evaluation.errors import EvaluationError
from models.bundles import LoadedBundle
from models.clean_images import clean_images
from models.data import LabelledImages
from models.images import as_pixels
from models.layout import memory_format
from smoothing import Noise, adaptable, estimate_statistics, generator_for, with_statistics

BATCH = 256
"""Images a forward pass; twice as many are a fifth slower on two cores: their activations are 25 MB each."""


@dataclass(frozen=True)
class Images:
    """Test images ``(m, c, h, w)`` in [0, 1] with their classes ``(m,)`` and positions in the test split."""

    pixels: Tensor
    labels: Tensor
    indices: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.indices)

    def batches(self, size: int = BATCH) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield pixels and labels in order."""
        for start in range(0, len(self), size):
            yield self.pixels[start : start + size], self.labels[start : start + size]


def choose_images(data: LabelledImages, count: int, every: int, device: torch.device | str = "cpu") -> Images:
    """Return every ``every``-th image of a split from the first on, at most ``count`` of them."""
    return images_at(data, range(0, len(data), every)[:count], device)


def images_at(data: LabelledImages, indices: Iterable[int], device: torch.device | str) -> Images:
    """Return the images of a split at these positions."""
    places = tuple(indices)
    chosen = data.take(np.array(places, dtype=np.int64))
    labels = torch.from_numpy(chosen.labels).to(device)
    return Images(as_pixels(chosen.images[:], device), labels, places)


@dataclass(frozen=True, eq=False)
class Subject:
    """A base classifier in float32 by PyTorch, with its clean set."""

    bundle: LoadedBundle
    device: torch.device

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self.bundle.card.name

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.bundle.card.classes)

    @cached_property
    def module(self) -> nn.Module:
        """The classifier as it was trained."""
        network = self.bundle.base_classifier.to(self.device).eval()
        return network.to(memory_format=memory_format(network, self.device))

    @property
    def adaptable(self) -> bool:
        """Whether it has batch normalisation and a clean set."""
        return self.bundle.clean is not None and adaptable(self.bundle.base_classifier)

    def clean(self, size: int | None = None) -> Tensor:
        """Return ``size`` clean images ``(m, c, h, w)``, spread evenly over the clean set; all by default."""
        if self.bundle.clean is None:
            raise EvaluationError(f"'{self.name}' must have clean images to be adapted, got none")
        return clean_images(self.bundle, size).to(self.device)

    def adapted(
        self, noise: Noise, *, seed: int, stream: str, momentum: float = 1.0, clean: Tensor | None = None
    ) -> nn.Module:
        """Return a copy with batch-norm statistics of clean images under a noise.

        Args:
            noise: What the copy is adapted to.
            seed: 128 bits.
            stream: Names the random stream; another name draws other noise.
            momentum: Weight of the new statistics against the trained ones; 0 leaves them as they are.
            clean: Images in [0, 1]; the bundle's clean set if None.
        """
        if momentum == 0.0:
            return self.module
        images = self.clean() if clean is None else clean
        generator = generator_for(seed, f"adaptation/{stream}", device=self.device)
        statistics = estimate_statistics(self.module, images, noise, momentum=momentum, generator=generator)
        return with_statistics(self.module, statistics).to(self.device).eval()


@torch.inference_mode()
def right_answers(module: nn.Module, images: Images, *, noise: Noise | None = None, seed: int = 0) -> Tensor:
    """Return which images are answered right ``(m,)``, each under one draw of noise if there is any.

    All classifiers that are compared meet the same draws.
    """
    generator = generator_for(seed, "accuracy", device=images.pixels.device)
    right = []
    for pixels, labels in images.batches():
        if noise is not None:
            pixels = pixels + noise.sample(pixels.shape, generator=generator)
        right.append(module(pixels).argmax(1) == labels)
    return torch.cat(right)


def as_digits(right: Iterable[bool]) -> str:
    """Return a digit per image: 1 where it is answered right.

    >>> as_digits([True, False, True])
    '101'
    """
    return "".join("1" if one else "0" for one in right)
