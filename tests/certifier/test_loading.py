"""Models as they are held for sampling."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from certifier import LoadedModel, execution, model_info
from models.backends import BackendError
from smoothing.errors import BatchDependentClassifier
from tests.support.models import Plane, Shifted, toy_model


class Centred(nn.Module):
    """Each image's logits depend on the others in the batch, in eval mode too."""

    def forward(self, images: Tensor) -> Tensor:
        scores = images.flatten(1)[:, :2]
        return scores - scores.mean(dim=0)


def test_votes_that_depend_on_their_batch_are_refused() -> None:
    """They would certify nothing, and no count would show it."""
    with pytest.raises((BatchDependentClassifier, BackendError)):
        toy_model(Centred())


def test_pixels_become_an_image_on_the_device(plane: LoadedModel, pixels: NDArray[np.uint8]) -> None:
    """Of bytes, so that noise is exact; the original classifier answers about it without noise."""
    image = plane.image(pixels)
    assert image.dtype == torch.uint8
    assert image.flatten().tolist() == pixels.flatten().tolist()
    assert plane.original_class(image) == 0
    assert plane.original_class(torch.zeros_like(image)) == 1


@pytest.mark.parametrize(
    ("network", "clean", "reason"),
    [
        (Plane(0.5), 4, "it has no batch-norm layers with running statistics"),
        (Shifted(), 1, "its bundle holds no clean images"),
        (Shifted(), 4, None),
    ],
)
def test_clients_hear_whether_a_model_can_be_adapted(
    network: nn.Module, clean: int, reason: str | None
) -> None:
    """It takes batch-norm statistics, and clean images to re-estimate them from."""
    model = toy_model(network, clean=np.zeros((clean, 1, 2, 3), dtype=np.uint8))
    info = model_info(model.bundle, on_gpu=False)
    assert (info.adaptable, info.not_adaptable_because, info.clean_size) == (reason is None, reason, clean)
    assert (info.name, info.digest, info.ready, info.execution) == ("toy", model.digest, True, None)
    assert (execution(model.classifier).backend, execution(model.classifier).dtype) == ("eager", "float32")


def test_more_votes_are_the_default_on_a_gpu(plane: LoadedModel) -> None:
    """There they cost a second."""
    assert model_info(plane.bundle, on_gpu=False).n == plane.card.recommended.n == 10_000
    assert model_info(plane.bundle, on_gpu=True).n == 100_000
