"""The shipped models and the test images of the benchmarks."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from models.backends import BackendError, ExecutableClassifier, prepare
from models.bundles import ZOO, LoadedBundle, load_bundle
from models.clean_images import CALIBRATION_SIZE, calibration_images, clean_images
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
    """Returns the first ``count`` test images of Fashion-MNIST, without any selection."""
    test = load_dataset("fashion-mnist").test
    pixels = torch.from_numpy(np.ascontiguousarray(test.images[:count])).float() / 255
    return Images(pixels, [int(label) for label in test.labels[:count]])


class Subject:
    """A shipped model, executed as in a worker."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.bundle: LoadedBundle = load_bundle(ZOO / name)
        self._adapted: dict[Noise, ExecutableClassifier] = {}

    @cached_property
    def clean(self) -> Tensor:
        return clean_images(self.bundle)

    @cached_property
    def plain(self) -> ExecutableClassifier:
        sigmas = self.bundle.card.recommended.sigma_grid
        calibration = calibration_images(self.bundle, sigmas, generator=generator_for(0, "calibration"))
        assert calibration is not None
        return self._prepare(self.bundle.base_classifier, calibration)

    def adapted_module(self, noise: Noise) -> nn.Module:
        statistics = estimate_statistics(
            self.bundle.base_classifier, self.clean, noise, generator=generator_for(0, "adaptation")
        )
        return with_statistics(self.bundle.base_classifier, statistics)

    def adapted(self, noise: Noise) -> ExecutableClassifier:
        if noise not in self._adapted:
            clean = clean_images(self.bundle, CALIBRATION_SIZE)
            calibration = clean + noise.sample(clean.shape, generator=generator_for(0, "calibration"))
            module = self.adapted_module(noise)
            try:
                self._adapted[noise] = self._prepare(module, calibration, like=self.plain)
            except BackendError:  # int8 does not vote like float32: choose anew, as workers do
                self._adapted[noise] = self._prepare(module, calibration)
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
            calibration=calibration,
            like=like,
        )
