"""The smoothed classifier as one object gives the answers of the functions beneath it."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from smoothing import (
    Gaussian,
    NotAdaptable,
    SmoothedClassifier,
    Target,
    Uniform,
    certify,
    estimate_statistics,
    generator_for,
    predict,
    with_statistics,
)


class Sized:
    """A classifier that says how many images a call it is fastest with."""

    batch_size = 7

    def __init__(self) -> None:
        self.sizes: set[int] = set()

    def __call__(self, images: Tensor) -> Tensor:
        self.sizes.add(len(images))
        return images.flatten(1)


def test_it_certifies_as_the_function_does(half_space: Any, image: Tensor) -> None:
    """The same votes from the same seed, and the true class within the true radius."""
    for noise in (Gaussian(0.5), Uniform(0.5)):
        got = SmoothedClassifier(half_space(0.3), noise).certify(image, n=1000, seed=5)
        alone = certify(half_space(0.3), image, noise, n=1000, seed=5)
        assert got.counts.tolist() == alone.counts.tolist()
        assert got.radius == alone.radius
        assert got.top_class == 0
    with_target = SmoothedClassifier(half_space(0.3), Gaussian(0.5)).certify(image, stop=Target(0.1), seed=5)
    assert with_target.stop_reason == "target_reached"


def test_it_takes_cohens_five_arguments_by_place(half_space: Any, image: Tensor) -> None:
    """image, n0, n, alpha, and the batch size by name."""
    got = SmoothedClassifier(half_space(0.3), Gaussian(0.5)).certify(image, 50, 500, 0.01, batch_size=100)
    assert (got.selection_counts.sum(), got.n_drawn, got.alpha) == (50, 500, 0.01)
    assert got.segments[0].batch_size == 100


def test_it_predicts_as_the_function_does(half_space: Any, image: Tensor) -> None:
    """The same votes from the same seed."""
    got = SmoothedClassifier(half_space(0.3), Gaussian(0.5)).predict(image, seed=5)
    assert (got.n, got.top_class, got.abstained) == (1000, 0, False)
    alone = predict(half_space(0.3), image, Gaussian(0.5), n=1000, seed=5)
    assert np.array_equal(got.counts, alone.counts)


def test_the_classifiers_own_batch_size_is_used(image: Tensor) -> None:
    """Unless another is given."""
    classifier = Sized()
    SmoothedClassifier(classifier, Gaussian(0.5)).certify(image, n0=14, n=14)
    assert classifier.sizes == {1, 7}
    SmoothedClassifier(classifier, Gaussian(0.5)).predict(image, n=14, batch_size=14)
    assert classifier.sizes == {1, 7, 14}


def test_many_images_have_a_certificate_each_as_they_are_made(half_space: Any, image: Tensor) -> None:
    """Each has a seed of its own; progress counts images, and the first comes before the last is begun."""
    begun: list[int] = []

    def progress(images: Iterable[Tensor]) -> Iterator[Tensor]:
        for number, each in enumerate(images):
            begun.append(number)
            yield each

    g = SmoothedClassifier(half_space(0.3), Gaussian(0.5))
    certificates = g.certify_all(torch.stack([image] * 3), n=200, progress=progress)
    first = next(certificates)
    assert begun == [0]
    rest = list(certificates)
    assert begun == [0, 1, 2]
    assert len({each.seed for each in (first, *rest)}) == 3
    assert all(not each.abstained and each.top_class == 0 for each in (first, *rest))
    assert [each.n_drawn for each in g.certify_all([image], n=100)] == [100]


def test_adapted_is_another_smoothed_classifier() -> None:
    """Statistics of the clean images under this noise, frozen in a copy; the module stays as it was."""
    torch.manual_seed(1)
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    clean = torch.rand(64, 1, 2, 2)
    g = SmoothedClassifier(net, Gaussian(0.5))
    adapted = g.adapted(clean, momentum=0.7, seed=3)
    assert adapted.noise == g.noise
    statistics = estimate_statistics(
        net, clean, Gaussian(0.5), momentum=0.7, generator=generator_for(3, "adaptation")
    )
    expected = with_statistics(net, statistics)(clean)
    assert torch.equal(adapted.base_classifier(clean), expected)
    assert not torch.equal(net(clean), expected)
    assert adapted.certify(clean[0], n=100, seed=1).n_drawn == 100


def test_what_is_no_module_cannot_be_adapted(half_space: Any) -> None:
    """A plain function has no statistics."""
    with pytest.raises(NotAdaptable, match=r"'base_classifier' must be a torch\.nn\.Module, got HalfSpace"):
        SmoothedClassifier(half_space(0.3), Gaussian(0.5)).adapted(torch.rand(4, 1, 2, 3))
