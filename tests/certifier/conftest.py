"""Toy models whose smoothed class and radius are known, and a shipped one."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from certifier import LoadedModel, StatisticsHere, Variants, load_model
from models.bundles import ZOO, load_bundle
from tests.support.models import Plane, toy_model


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Tiny tensors gain nothing from more threads, and lose much on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def plane() -> LoadedModel:
    """Class 0 is at a distance of 0.4 from class 1, seen from `pixels`."""
    return toy_model(Plane(1.0 - 0.4))


@pytest.fixture(scope="session")
def tie() -> LoadedModel:
    """`pixels` lies on the border of both classes: under noise, a fair coin."""
    return toy_model(Plane(1.0))


@pytest.fixture(scope="session")
def shipped() -> LoadedModel:
    """A real network, in eager PyTorch."""
    return load_model(load_bundle(ZOO / "fashion-mnist-gaussian"), backend="eager", device="cpu")


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    """An image ``(1, 2, 3)`` whose first pixel is white."""
    return np.array([[[255, 0, 51], [102, 153, 204]]], dtype=np.uint8)


@pytest.fixture
def image(pixels: NDArray[np.uint8]) -> Tensor:
    """The same, as a model takes it."""
    return torch.from_numpy(pixels).float() / 255


@pytest.fixture
def variants() -> Variants:
    """Adapted models of one process alone."""
    return Variants(StatisticsHere(), capacity=16)
