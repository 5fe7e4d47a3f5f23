"""The competitors: the loop of the papers' scripts, and ART's randomized smoothing."""

import copy
import importlib.util
from collections.abc import Callable

import torch
from torch import Tensor, nn

SIGMA = 0.5
ART_SELECTION = 100


def plain_counts(classifier: nn.Module, image: Tensor, n: int, num_classes: int, batch: int = 1000) -> Tensor:
    """Counts votes as the papers' scripts do: in float32, repeat the image, add noise, argmax, count."""
    counts = torch.zeros(num_classes, dtype=torch.int64)
    with torch.no_grad():
        while n > 0:
            size = min(batch, n)
            n -= size
            images = image.repeat((size, 1, 1, 1))
            predictions = classifier(images + torch.randn_like(images) * SIGMA).argmax(1)
            for prediction in predictions:
                counts[prediction] += 1
    return counts


def art_installed() -> bool:
    return importlib.util.find_spec("art") is not None


def art_votes(module: nn.Module, image: Tensor, num_classes: int) -> Callable[[int], object]:
    """Returns ART's ``certify`` at its default batch of 32; `ART_SELECTION` of n votes select the class."""
    from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing

    smoothed = PyTorchRandomizedSmoothing(
        model=copy.deepcopy(module),
        loss=nn.CrossEntropyLoss(),
        input_shape=tuple(image.shape),
        nb_classes=num_classes,
        device_type="cpu",
        sample_size=ART_SELECTION,
        scale=SIGMA,
    )
    images = image[None].numpy()
    return lambda n: smoothed.certify(images, n=n - ART_SELECTION)
