"""Batch-norm adaptation: against torch's own running statistics, and by hand."""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from smoothing import Gaussian, InvalidParameter, check_batch_invariance, generator_for
from smoothing.adaptation import (
    NotAdaptable,
    Statistics,
    adaptable,
    batch_norm_layers,
    estimate_statistics,
    with_statistics,
)
from smoothing.errors import SmoothingError

NOISE = Gaussian(0.5)


@pytest.fixture
def clean() -> Tensor:
    """Images ``(40, 1, 6, 6)``."""
    return torch.rand((40, 1, 6, 6), generator=generator_for(1, "clean"))


@pytest.fixture
def net() -> nn.Module:
    """Three batch-norm layers, dropout, and running statistics that are not the initial ones; training mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.BatchNorm2d(1),
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Flatten(),
            nn.Linear(64, 8),
            nn.BatchNorm1d(8),
            nn.Linear(8, 3),
        )
        for _ in range(3):
            module(2.0 * torch.randn(16, 1, 6, 6) + 1.0)
    return module


@pytest.fixture(autouse=True)
def global_generator_untouched() -> Iterator[None]:
    """No test may find torch's global generator moved."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(torch.get_rng_state(), before)


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def estimate(module: nn.Module, clean: Tensor, *, seed: int = 1, momentum: float = 1.0) -> Statistics:
    return estimate_statistics(
        module, clean, NOISE, momentum=momentum, generator=generator_for(seed, "adaptation")
    )


def noisy(clean: Tensor, seed: int = 1) -> Tensor:
    return clean + NOISE.sample(clean.shape, generator=generator_for(seed, "adaptation"))


def test_layers_are_listed_by_name_and_in_order(net: nn.Module) -> None:
    """Only layers with running statistics count."""
    assert list(batch_norm_layers(net)) == ["0", "2", "7"]
    assert adaptable(net)
    assert not adaptable(nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False), nn.InstanceNorm2d(3)))


@pytest.mark.parametrize("training", [True, False])
def test_the_module_stays_as_it_is(net: nn.Module, clean: Tensor, training: bool) -> None:
    """Buffers, weights, num_batches_tracked, modes and hooks, bit for bit."""
    net.train(training)
    before = state(net)
    with_statistics(net, estimate(net, clean))
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(module.training is training for module in net.modules())
    assert not any(module._forward_pre_hooks for module in net.modules())


@pytest.mark.parametrize("torch_momentum", [1.0, None])
def test_they_are_the_statistics_of_torchs_own_training_pass(
    net: nn.Module, clean: Tensor, torch_momentum: float | None
) -> None:
    """But for its unbiased variance, the running update agrees; upstream layers use their batch."""
    reference = copy.deepcopy(net).eval()
    counts = {"0": 40 * 36, "2": 40 * 16, "7": 40}
    for layer in batch_norm_layers(reference).values():
        layer.reset_running_stats()
        layer.momentum = torch_momentum
        layer.train()
    reference(noisy(clean))
    found = estimate(net, clean).tensors
    for name, layer in batch_norm_layers(reference).items():
        assert layer.running_mean is not None
        assert layer.running_var is not None
        biased = layer.running_var * (counts[name] - 1) / counts[name]
        torch.testing.assert_close(found[f"{name}.running_mean"], layer.running_mean, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(found[f"{name}.running_var"], biased, rtol=1e-5, atol=1e-6)


def test_the_adapted_copy_repeats_the_pass_it_was_measured_in(net: nn.Module, clean: Tensor) -> None:
    """At ρ = 1 the frozen copy gives the very batch the logits that batch statistics gave it."""
    reference = copy.deepcopy(net).eval()
    for layer in batch_norm_layers(reference).values():
        layer.train()
    adapted = with_statistics(net, estimate(net, clean))
    torch.testing.assert_close(adapted(noisy(clean)), reference(noisy(clean)), rtol=1e-4, atol=1e-5)


def test_momentum_mixes_standard_deviations() -> None:
    """One layer, by hand: s = 0.3·s_t + 0.7·s_T, not a mixture of variances."""
    net = nn.Sequential(nn.BatchNorm2d(1))
    net[0].running_mean.fill_(2.0)
    net[0].running_var.fill_(9.0)
    clean = torch.full((50, 1, 2, 2), 0.25)
    batch = noisy(clean).double()
    found = estimate(net, clean, momentum=0.3).tensors
    assert float(found["0.running_mean"]) == pytest.approx(0.3 * float(batch.mean()) + 0.7 * 2.0, rel=1e-6)
    std = 0.3 * float(batch.std(correction=0)) + 0.7 * 3.0
    assert float(found["0.running_var"]) == pytest.approx(std**2, rel=1e-6)


def test_the_adapted_copy_is_frozen_and_batch_invariant(net: nn.Module, clean: Tensor) -> None:
    """It is in eval mode, eval() changes nothing, and no image sees its batch."""
    adapted = with_statistics(net, estimate(net, clean))
    assert not any(module.training for module in adapted.modules())
    before, logits = state(adapted), adapted(clean)
    adapted.eval()
    check_batch_invariance(adapted, (1, 6, 6), num_classes=3, generator=generator_for(1, "probe"))
    assert torch.equal(adapted(clean), logits)
    assert all(torch.equal(tensor, before[name]) for name, tensor in adapted.state_dict().items())


def test_statistics_are_a_function_of_module_images_and_generator(net: nn.Module, clean: Tensor) -> None:
    """Dropout stays off and torch's global generator is not read; another stream gives others."""
    one = estimate(net, clean)
    with torch.random.fork_rng():
        torch.manual_seed(99)
        again = estimate(net, clean)
    assert one.digest == again.digest
    assert estimate(net, clean, seed=2).digest != one.digest


def test_inference_mode_outside_leaves_the_copy_differentiable(net: nn.Module, clean: Tensor) -> None:
    """OptimizeSigma differentiates adapted copies wherever they were made."""
    with torch.inference_mode():
        statistics = estimate(net, clean)
        adapted = with_statistics(net, statistics)
    assert statistics.digest == estimate(net, clean).digest
    images = clean.clone().requires_grad_()
    adapted(images).sum().backward()
    assert images.grad is not None
    assert not any(tensor.is_inference() for tensor in statistics.tensors.values())


def test_noise_is_not_clipped() -> None:
    """The statistics of black images under noise have mean 0."""
    net = nn.Sequential(nn.BatchNorm2d(1))
    found = estimate(net, torch.zeros(100, 1, 10, 10)).tensors
    assert abs(float(found["0.running_mean"])) < 5 * 0.5 / 100
    assert float(found["0.running_var"]) == pytest.approx(0.25, rel=0.08)


def test_a_layer_used_twice_pools_and_an_unused_one_keeps_its_statistics() -> None:
    """Neither the last use nor nothing at all."""

    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.BatchNorm2d(1), nn.BatchNorm2d(2)

        def forward(self, images: Tensor) -> Tensor:
            return torch.cat((self.used(images), self.used(input=images + 2.0)), 1).flatten(1)

    clean = torch.full((30, 1, 2, 2), 0.5)
    found = estimate(Odd(), clean).tensors
    batch = noisy(clean).double()
    both = torch.cat((batch, batch + 2.0))
    assert float(found["used.running_mean"]) == pytest.approx(float(both.mean()), rel=1e-6)
    assert float(found["used.running_var"]) == pytest.approx(float(both.var(correction=0)), rel=1e-6)
    assert found["unused.running_var"].tolist() == [1.0, 1.0]


def test_digest_changes_with_any_bit_and_with_names() -> None:
    """The sign of zero is a bit too."""
    tensors = {"a.running_mean": torch.zeros(2), "a.running_var": torch.ones(2)}
    digest = Statistics(tensors).digest
    assert Statistics(dict(reversed(tensors.items()))).digest == digest
    last_bit = torch.nextafter(torch.ones(2), torch.tensor([2.0, 0.0]))
    for other in (
        {**tensors, "a.running_mean": torch.tensor([0.0, -0.0])},
        {**tensors, "a.running_var": last_bit},
        {"b.running_mean": torch.zeros(2), "b.running_var": torch.ones(2)},
        {"a.running_mean": torch.zeros(3), "a.running_var": torch.ones(1)},
    ):
        assert Statistics(other).digest != digest


def test_statistics_survive_a_plain_dict_and_are_nobody_elses_tensors(net: nn.Module, clean: Tensor) -> None:
    """Rows of a wider tensor, such as a store may hand back, become plain ones."""
    statistics = estimate(net, clean)
    plain = {name: torch.stack((tensor, tensor), 1)[:, 0] for name, tensor in statistics.tensors.items()}
    again = Statistics(plain)
    assert again.digest == statistics.digest
    for tensor in plain.values():
        tensor.zero_()
    assert again.digest == statistics.digest
    assert all(tensor.is_contiguous() and tensor.device.type == "cpu" for tensor in again.tensors.values())
    one, two = with_statistics(net, statistics), with_statistics(net, again)
    assert torch.equal(one(clean), two(clean))


@pytest.mark.parametrize(
    "module", [nn.Sequential(nn.Linear(4, 2)), nn.BatchNorm2d(3, track_running_stats=False)]
)
def test_a_module_without_running_statistics_is_refused(module: nn.Module, clean: Tensor) -> None:
    """In words that say what is missing."""
    assert issubclass(NotAdaptable, SmoothingError)
    with pytest.raises(NotAdaptable, match="must have batch-norm layers with running statistics, got none"):
        estimate(module, clean)
    with pytest.raises(NotAdaptable):
        with_statistics(module, Statistics({"a.running_mean": torch.zeros(1)}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0.running_mean": None}, "'statistics' must be of this module's layers"),
        ({"0.running_mean": torch.zeros(2)}, r"'0\.running_mean': \(1,\).*got \{'0\.running_mean': \(2,\)\}"),
        ({"9.running_mean": torch.zeros(1)}, r"got \{'9\.running_mean': \(1,\)\}"),
        ({"0.running_mean": torch.tensor([torch.nan])}, r"'0\.running_mean' must be finite, got tensor"),
        ({"0.running_var": torch.tensor([-1.0])}, r"'0\.running_var' must be >= 0, got -1\.0"),
        ({"0.running_var": torch.ones(1).double()}, r"'0\.running_var' must be float32, got torch\.float64"),
        (
            {"0.running_var": torch.ones(1, 1)},
            r"'0\.running_var' must have shape \(channels,\), got \(1, 1\)",
        ),
    ],
)
def test_statistics_that_do_not_fit_are_refused(
    net: nn.Module, clean: Tensor, change: dict[str, Tensor | None], message: str
) -> None:
    """Other layers, other shapes, or no statistics at all."""
    tensors = {**estimate(net, clean).tensors, **change}
    with pytest.raises(InvalidParameter, match=message):
        with_statistics(net, Statistics({n: t for n, t in tensors.items() if t is not None}))


@pytest.mark.parametrize(
    ("clean", "momentum", "message"),
    [
        (torch.rand(1, 1, 6, 6), 1.0, "'clean' must hold at least 2 images, got 1"),
        (torch.rand(6, 6), 1.0, r"'clean' must have shape \(m, c, h, w\), got \(6, 6\)"),
        (torch.zeros(4, 1, 6, 6, dtype=torch.uint8), 1.0, "'clean' must be floating"),
        (torch.full((4, 1, 6, 6), 255.0), 1.0, r"'clean' must lie in \[0, 1\], got \(255\.0, 255\.0\)"),
        (torch.full((4, 1, 6, 6), torch.nan), 1.0, r"'clean' must lie in \[0, 1\]"),
        (torch.zeros(4, 1, 6, 6), 0.0, r"'momentum' must be in \(0, 1\], got 0\.0"),
        (torch.zeros(4, 1, 6, 6), 1.1, r"'momentum' must be in \(0, 1\], got 1\.1"),
    ],
)
def test_arguments_out_of_range_are_refused(
    net: nn.Module, clean: Tensor, momentum: float, message: str
) -> None:
    """Field, rule and value."""
    with pytest.raises(InvalidParameter, match=message):
        estimate(net, clean, momentum=momentum)
