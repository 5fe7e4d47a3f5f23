"""Pictures of loss gradients."""

import base64
import io

import pytest
import torch
from PIL import Image
from torch import Tensor

from evaluation.suites.gradients import loss_gradients
from evaluation.suites.registry import SUITES
from evaluation.suites.suite import Bench


def test_gradient_pictures_are_png_with_a_column_per_level(bench: Bench) -> None:
    """Image, two levels as trained, one adapted; two rows."""
    (cell,) = SUITES["gradients"].cells(bench)
    row = cell.measure()
    with Image.open(io.BytesIO(base64.b64decode(row["png"]))) as picture:
        assert picture.format == "PNG"
        assert picture.size == (4 * 102 + 6, 18 + 2 * 102 + 6)
    assert row["indices"] == [0, 1]


def test_a_loss_gradient_is_that_of_the_cross_entropy() -> None:
    """Softmax regression: the gradient is (p − y)ᵀW, here by hand for two classes at equal odds."""

    class Linear(torch.nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            flat = images.flatten(1)
            return torch.stack((flat.sum(1), -flat.sum(1)), dim=1)

    gradient = loss_gradients(Linear(), torch.zeros(1, 1, 2, 2), torch.tensor([0]))
    assert gradient.flatten().tolist() == pytest.approx([-1.0] * 4)  # (½ − 1)·1 + ½·(−1)
