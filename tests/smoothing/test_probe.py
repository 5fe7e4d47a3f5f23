"""The probe finds classifiers whose votes would not be independent."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from smoothing import InvalidParameter, check_batch_invariance, generator_for
from smoothing.errors import BatchDependentClassifier, InvalidLogits, NonFiniteLogits

SHAPE = (3, 8, 8)


class ConvNet(nn.Module):
    """A small residual network with batch normalisation, and dropout where it is asked for."""

    def __init__(self, width: int = 16, dropout: float = 0.0) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1))
            for _ in range(6)
        )
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, 10))

    def forward(self, images: Tensor) -> Tensor:
        features = self.stem(images)
        for block in self.blocks:
            features = features + block(features)
        logits: Tensor = self.head(features.relu().mean(dim=(2, 3)))
        return logits


@cache
def trained_state(seed: int) -> dict[str, Tensor]:
    """Seeded weights, with running statistics of noisy images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ConvNet()
        for _ in range(20):
            network(torch.rand(32, *SHAPE) + 0.25 * torch.randn(32, *SHAPE))
    return network.state_dict()


@pytest.fixture(params=range(3))
def network(request: pytest.FixtureRequest) -> Callable[..., ConvNet]:
    """``network(dropout=…)``: a new copy, in eval mode."""

    def make(**arguments: Any) -> ConvNet:
        made = ConvNet(**arguments)
        made.load_state_dict(trained_state(request.param))
        return made.eval()

    return make


def probe(classifier: Any, device: str = "cpu", **changes: Any) -> None:
    """The probe with ordinary arguments."""
    arguments: dict[str, Any] = {"num_classes": 10, "generator": generator_for(1, "probe"), **changes}
    check_batch_invariance(classifier, arguments.pop("shape", SHAPE), device=device, **arguments)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_eval_mode_passes(network: Any, dtype: torch.dtype, device: str) -> None:
    """Rounding that depends on the batch, also that of bfloat16, is not taken for dependence."""
    net = network().to(device=device, dtype=dtype, memory_format=torch.channels_last)
    probe(lambda images: net(images.to(dtype)), device)


def test_rounding_of_bfloat16_that_depends_on_the_batch_size_passes(network: Any) -> None:
    """Even if one image alone is computed in bfloat16 and a batch in float32."""
    full, half = network(), network().to(torch.bfloat16)
    probe(lambda images: half(images.to(torch.bfloat16)).float() if len(images) == 1 else full(images))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_batch_normalisation_in_training_mode_is_found(network: Any, dtype: torch.dtype, device: str) -> None:
    """Its statistics are those of the batch."""
    net = network().to(device=device, dtype=dtype).train()
    with pytest.raises(BatchDependentClassifier, match="beside other images"):
        probe(lambda images: net(images.to(dtype)), device)


@pytest.mark.parametrize("rate", [0.05, 0.5])
def test_active_dropout_is_found(network: Any, rate: float, device: str) -> None:
    """The same batch asked twice gets two answers."""
    net = network(dropout=rate).to(device)
    probe(net, device)
    net.head.train()
    with pytest.raises(BatchDependentClassifier, match="when it is asked again"):
        probe(lambda images: net(images), device)
    with pytest.raises(BatchDependentClassifier, match="got training mode"):
        probe(net, device)


def test_quantisation_by_the_range_of_the_batch_is_found(network: Any) -> None:
    """Dynamic int8: the scale is the largest value in the batch."""
    net = network()

    def dynamic(images: Tensor) -> Any:
        scale = images.abs().max() / 127
        return net((images / scale).round() * scale)

    with pytest.raises(BatchDependentClassifier, match="beside other images"):
        probe(dynamic)


def test_dependence_on_the_size_of_the_batch_is_found(network: Any) -> None:
    """A classifier that is another function when it is asked about one image."""
    net = network()
    with pytest.raises(BatchDependentClassifier, match="in a batch of one"):
        probe(lambda images: net(images) if len(images) > 1 else net(images).flip(1))


def test_constant_classifier_passes(constant: Any) -> None:
    """No spread between images is no reason to refuse."""
    probe(constant(10, 3))


def test_classifier_may_reuse_its_buffers(network: Any) -> None:
    """Overwriting the input, or returning one output buffer each time, hides nothing and breaks nothing."""
    net, buffer = network().train(), torch.empty(16, 10)

    def reusing(images: Tensor) -> Tensor:
        buffer[: len(images)] = net(images)
        images.zero_()
        return buffer[: len(images)]

    with pytest.raises(BatchDependentClassifier):
        probe(reusing)
    net.eval()
    probe(reusing)


def test_broken_logits_are_refused() -> None:
    """NaN and wrong shapes have errors of their own."""
    with pytest.raises(NonFiniteLogits):
        probe(lambda images: torch.full((len(images), 10), torch.nan))
    with pytest.raises(InvalidLogits):
        probe(lambda images: torch.zeros(len(images), 9))


def test_a_shape_of_other_axes_is_refused(constant: Any) -> None:
    """The message says which rule was broken and by what."""
    with pytest.raises(InvalidParameter, match=r"'shape' must be \(c, h, w\), got \(16, 16\)"):
        probe(constant(10, 0), shape=(16, 16))
