"""The shipped models and the test images that the benchmarks certify."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from models.backends import ExecutableClassifier, prepare
from models.bundles import ZOO, LoadedBundle, load_bundle
from models.data import load_dataset
from smoothing import Gaussian, Noise, estimate_statistics, generator_for, with_statistics

CLASSES = 10


@dataclass(frozen=True)
class Images:
    """Test images ``(m, c, h, w)`` in [0, 1] with their true classes ``(m,)``."""

    pixels: Tensor
    labels: list[int]

    def __len__(self) -> int:
        return len(self.labels)


def test_images(count: int) -> Images:
    """Returns the first so many of Fashion-MNIST's test images, which nobody has picked."""
    test = load_dataset("fashion-mnist").test
    pixels = torch.from_numpy(np.ascontiguousarray(test.images[:count])).float() / 255
    return Images(pixels, [int(label) for label in test.labels[:count]])


class Subject:
    """A shipped model, executed as a worker would execute it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.bundle: LoadedBundle = load_bundle(ZOO / name)
        self._adapted: dict[Noise, ExecutableClassifier] = {}

    @cached_property
    def clean(self) -> Tensor:
        assert self.bundle.clean is not None
        return torch.from_numpy(self.bundle.clean).float() / 255

    @cached_property
    def plain(self) -> ExecutableClassifier:
        grid = torch.tensor(self.bundle.card.recommended.sigma_grid)
        sigmas = grid.repeat(len(self.clean))[: len(self.clean)].view(-1, 1, 1, 1)
        noise = torch.randn(self.clean.shape, generator=generator_for(0, "calibration"))
        return self._prepare(self.bundle.base_classifier, self.clean + sigmas * noise)

    def adapted_module(self, noise: Noise) -> nn.Module:
        statistics = estimate_statistics(
            self.bundle.base_classifier, self.clean, noise, generator=generator_for(0, "adaptation")
        )
        return with_statistics(self.bundle.base_classifier, statistics)

    def adapted(self, noise: Noise) -> ExecutableClassifier:
        if noise not in self._adapted:
            calibration = self.clean + noise.sample(
                self.clean.shape, generator=generator_for(0, "calibration")
            )
            self._adapted[noise] = self._prepare(self.adapted_module(noise), calibration, like=self.plain)
        return self._adapted[noise]

    def adapted_at(self, kind: type[Noise] = Gaussian) -> Callable[[float], ExecutableClassifier]:
        return lambda sigma: self.adapted(kind(sigma))

    def _prepare(
        self, module: nn.Module, calibration: Tensor, like: ExecutableClassifier | None = None
    ) -> ExecutableClassifier:
        return prepare(
            module,
            input_shape=self.bundle.card.input_shape,
            num_classes=CLASSES,
            device="cpu",
            calibration=calibration[:128],
            like=like,
        )
