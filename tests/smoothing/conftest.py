"""Toy classifiers whose smoothed versions are known exactly, shared as fixtures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import pytest
import torch
from torch import Tensor, nn

NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@dataclass(frozen=True)
class HalfSpace:
    """Two classes split by a plane, 0 if w·x + b > 0. Smoothing leaves the plane as it is."""

    weight: Tensor  # (c, h, w), float64
    bias: float

    def __call__(self, images: Tensor) -> Tensor:
        score = images.double().flatten(1) @ self.weight.flatten().to(images.device) + self.bias
        return torch.stack((score, -score), dim=1)

    def true_radius(self, image: Tensor) -> float:
        """Distance to the plane, |w·x + b| / ‖w‖, which is the exact ℓ2 radius of g."""
        score = float(image.double().flatten() @ self.weight.flatten()) + self.bias
        return abs(score) / float(self.weight.norm())


@dataclass(frozen=True)
class Stripes:
    """A biased die thrown by the noise: at ``image``, under N(0, σ²I), class j has probability ``p[j]``.

    The noise along one direction is turned into a uniform number by Φ; the classes are intervals of it.
    """

    image: Tensor
    sigma: float
    p: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        along = (images - self.image).double().flatten(1).sum(dim=1)
        uniform = torch.special.ndtr(along / (self.sigma * self.image.numel() ** 0.5))
        edges = torch.tensor(self.p, dtype=torch.float64, device=images.device).cumsum(0)[:-1]
        return nn.functional.one_hot(torch.bucketize(uniform, edges), len(self.p)).double()


@dataclass(frozen=True)
class Constant:
    """Always the same class."""

    num_classes: int
    label: int

    def __call__(self, images: Tensor) -> Tensor:
        logits = torch.zeros(len(images), self.num_classes, device=images.device)
        logits[:, self.label] = 1.0
        return logits


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tiny tensors gain nothing from more threads, and lose much on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def image() -> Tensor:
    """A tiny image ``(1, 2, 3)``."""
    return torch.tensor([[[0.1, 0.5, 0.9], [0.3, 0.2, 0.7]]])


@pytest.fixture
def half_space(image: Tensor) -> Callable[[float], HalfSpace]:
    """``half_space(r)``: the plane at distance r from the image, on whose positive side it lies."""

    def at_distance(radius: float) -> HalfSpace:
        weight = torch.linspace(-1.0, 2.0, image.numel(), dtype=torch.float64).reshape(image.shape)
        offset = float(image.double().flatten() @ weight.flatten())
        return HalfSpace(weight, radius * float(weight.norm()) - offset)

    return at_distance


@pytest.fixture
def stripes(image: Tensor) -> Callable[..., Stripes]:
    """``stripes(p, sigma)``: class probabilities p at the image."""

    def with_probabilities(p: tuple[float, ...], sigma: float, on: Tensor = image) -> Stripes:
        return Stripes(on, sigma, p)

    return with_probabilities


@pytest.fixture
def constant() -> Callable[[int, int], Constant]:
    """``constant(num_classes, label)``."""
    return Constant


@pytest.fixture
def phi() -> Callable[[float], float]:
    """Φ by the standard library, a second source beside SciPy."""
    return NormalDist().cdf


@pytest.fixture(
    params=[
        "cpu",
        pytest.param("cuda", marks=[pytest.mark.gpu, NEEDS_CUDA]),
    ]
)
def device(request: pytest.FixtureRequest) -> Any:
    """The CPU, and a CUDA device where there is one."""
    return request.param
