"""The shipped models, executed as in a worker, and the test images of the benchmarks."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.backends import ExecutableClassifier, prepare
from models.bundles import LoadedBundle
from models.clean_images import calibration_images
from models.data import load_dataset
from smoothing import generator_for


def test_images(count: int) -> tuple[Tensor, Tensor]:
    """Returns the first test images of Fashion-MNIST ``(count, c, h, w)``, uint8, and their classes."""
    test = load_dataset("fashion-mnist").test
    return torch.as_tensor(test.images[:count]), torch.as_tensor(test.labels[:count])


def executable(
    bundle: LoadedBundle, sigmas: Sequence[float], *, dtype: str = "auto", batch_size: int | None = None
) -> ExecutableClassifier:
    """Makes a bundle's classifier executable on the CPU; int8 is fitted to clean images with such noise."""
    return prepare(
        bundle.base_classifier,
        input_shape=bundle.card.input_shape,
        num_classes=len(bundle.card.classes),
        device="cpu",
        dtype=dtype,
        batch_size=batch_size,
        calibration=calibration_images(bundle, sigmas, generator=generator_for(0, "calibration")),
    )
