"""The smoothed classifier as one object gives the answers of the functions beneath it."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from smoothing import (
    Deadline,
    Gaussian,
    InvalidParameter,
    Looks,
    NotAdaptable,
    SmoothedClassifier,
    Target,
    Uniform,
    auto_noise,
    certify,
    estimate_statistics,
    generator_for,
    optimize_sigma,
    predict,
    with_statistics,
)
from smoothing.errors import BatchDependentClassifier, InvalidLogits


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


@pytest.mark.parametrize("part", [0, 2], ids=["batch normalisation", "dropout"])
def test_a_module_in_training_mode_is_refused(part: int) -> None:
    """Whichever part it is, and however it is asked: its answer depends on the batch, or on chance."""
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(4, 3)).eval()
    image, g = torch.rand(1, 2, 2), SmoothedClassifier(net, Gaussian(0.5))
    net[part].train()
    batch = image.unsqueeze(0)
    words = r"^'base_classifier' must be in evaluation mode, got training mode: call \.eval\(\)$"
    asked: list[Callable[[], object]] = [
        lambda: SmoothedClassifier(net, Gaussian(0.5)),
        lambda: g.certify(image, n=500),
        lambda: g.predict(image),
        lambda: next(g.certify_all([image])),
        lambda: certify(net, image, Gaussian(0.5)),
        lambda: predict(net, image, Gaussian(0.5)),
        lambda: auto_noise(lambda _: net, batch, Gaussian),
        lambda: optimize_sigma(lambda _: net, batch, Gaussian, 0.5),
    ]
    for ask in asked:
        with pytest.raises(BatchDependentClassifier, match=words):
            ask()
    assert g.adapted(torch.rand(4, 1, 2, 2)).certify(image, n=100).n_drawn == 100  # a copy in eval mode


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda g, x: g.certify(x.numpy()), r"'image' must be a torch\.Tensor, got <class 'numpy\.ndarray'>"),
        (lambda g, x: g.predict(x.numpy()), r"'image' must be a torch\.Tensor, got <class 'numpy\.ndarray'>"),
        (lambda g, x: g.certify(x, n="many"), "'n' must be an integer, got 'many'"),
        (lambda g, x: g.predict(x, n="many"), "'n' must be an integer, got 'many'"),
        (lambda g, x: g.certify(x, n=1e5), r"'n' must be an integer, got 100000\.0"),
        (lambda g, x: g.certify(x, n0="few"), "'n0' must be an integer, got 'few'"),
        (lambda g, x: g.certify(x, alpha="a"), "'alpha' must be a number, got 'a'"),
        (lambda g, x: g.predict(x, alpha=None), "'alpha' must be a number, got None"),
        (lambda g, x: g.certify(x, alpha=0.5), r"'alpha' must be in \(0, 0\.5\), got 0\.5"),
        (lambda g, x: g.certify(x, batch_size="all"), "'batch_size' must be an integer, got 'all'"),
        (lambda g, x: g.certify(x, bound=["two_sided"]), r"'bound' must be one of .*, got \['two_sided'\]"),
        (lambda g, x: g.certify(x, stop=Target("a")), "'radius' must be a number, got 'a'"),
        (lambda g, x: g.certify(x, stop=Looks(give_up="a")), "'give_up' must be a number, got 'a'"),
        (lambda g, x: g.certify(x, stop=Deadline("a")), "'seconds' must be a number, got 'a'"),
        (lambda g, x: certify(g.base_classifier, x, 0.25), r"'noise' must be a noise .*, got 0\.25"),
        (lambda g, x: predict(g.base_classifier, x, 0.25), r"'noise' must be a noise .*, got 0\.25"),
        (lambda g, _: SmoothedClassifier(g.base_classifier, 0.25), r"'noise' must be a noise .*, got 0\.25"),
        (lambda g, _: SmoothedClassifier("net", g.noise), "'base_classifier' must be callable, got 'net'"),
        (lambda _, __: Gaussian("a"), "'sigma' must be a number, got 'a'"),
        (lambda _, __: Uniform(None), "'sigma' must be a number, got None"),
        (
            lambda g, x: g.adapted(x.numpy()),
            r"'clean' must be a torch\.Tensor, got <class 'numpy\.ndarray'>",
        ),
        (lambda g, x: g.adapted(x.expand(2, 1, 2, 2), "a"), "'momentum' must be a number, got 'a'"),
    ],
)
def test_an_argument_of_another_kind_is_named(ask: Callable[..., object], words: str) -> None:
    """With the rule that it breaks and its value."""
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten()).eval()
    with pytest.raises(InvalidParameter, match=f"^{words}$"):
        ask(SmoothedClassifier(net, Gaussian(0.5)), torch.rand(1, 2, 2))


def test_numbers_of_numpy_are_numbers(half_space: Any, image: Tensor) -> None:
    """As they come out of an array."""
    g = SmoothedClassifier(half_space(0.3), Gaussian(np.float32(0.5)))  # type: ignore[arg-type]  # is one
    assert g.certify(image, 50, 500, np.float64(0.01)).noise.sigma == 0.5


def test_an_answer_that_is_no_tensor_is_refused(image: Tensor) -> None:
    """Such as logits with features beside them."""
    g = SmoothedClassifier(lambda images: (images.flatten(1), images), Gaussian(0.5))  # type: ignore[arg-type, return-value]  # on purpose
    with pytest.raises(InvalidLogits, match=r"^'base_classifier' must give a torch\.Tensor, got tuple$"):
        g.certify(image)


def test_an_error_of_the_classifier_says_who_raised_it() -> None:
    """Its own error, with a note: an image of three channels for a network that takes one."""
    g = SmoothedClassifier(nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten()).eval(), Gaussian(0.5))
    with pytest.raises(RuntimeError, match="channels") as raised:
        g.certify(torch.rand(3, 2, 2))
    assert raised.value.__notes__ == ["'base_classifier' raised it, given images of shape (1, 3, 2, 2)"]


def test_what_is_no_module_cannot_be_adapted(half_space: Any) -> None:
    """A plain function has no statistics."""
    with pytest.raises(NotAdaptable, match=r"'base_classifier' must be a torch\.nn\.Module, got HalfSpace"):
        SmoothedClassifier(half_space(0.3), Gaussian(0.5)).adapted(torch.rand(4, 1, 2, 3))
