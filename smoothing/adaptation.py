"""Batch-norm adaptation: the statistics of clean images under noise, estimated once, then frozen.

A classifier that was not trained with noise meets, under noise, activations whose mean and spread are not
those that its batch normalisation was trained with. Measuring them again under the noise that will be
certified repairs much of its accuracy there, without training. The statistics come from a fixed set of clean
images: taken from the query, or from the noisy copies that vote, they would make the votes depend on one
another and certify nothing.

Reference:
    "Certification through Adaptation", Algorithm 1: Nandy, Saha, Hsu, Lee & Zhu, arXiv:2102.05096.
"""

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from smoothing.copies import require_pixel_units
from smoothing.errors import SmoothingError, require, require_number
from smoothing.noises.base import Noise, require_noise

_DOMAIN = b"radii/smoothing/adaptation/1\0"
_MEAN, _VAR = "running_mean", "running_var"
_PART = 64  # images widened to float64 at a time


class NotAdaptable(SmoothingError):
    """The classifier has no batch normalisation with running statistics, so there is nothing to adapt."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """Frozen statistics of every batch-norm layer, as ``with_statistics`` puts them into a copy.

    Attributes:
        tensors: ``"<layer>.running_mean"`` and ``"<layer>.running_var"``, float32 on the CPU, one value per
            channel. They are copied when the object is made, so a plain dict of tensors, as it is read back
            from a store, gives the same statistics again.

    Raises:
        InvalidParameter: A tensor is not float32, has no value per channel, is not finite, or is a negative
            variance.

    >>> statistics = Statistics({"bn.running_mean": torch.zeros(2), "bn.running_var": torch.ones(2)})
    >>> statistics.digest[:12]
    '1b11e240a95d'
    """

    tensors: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        require(bool(self.tensors), "statistics", "not be empty", dict(self.tensors))
        for name, tensor in self.tensors.items():
            require(tensor.dtype == torch.float32, name, "be float32", tensor.dtype)
            require(tensor.ndim == 1, name, "have shape (channels,)", tuple(tensor.shape))
            require(bool(torch.isfinite(tensor).all()), name, "be finite", tensor)
            if name.endswith(_VAR):
                require(bool((tensor >= 0.0).all()), name, "be >= 0", float(tensor.min()))
        with torch.inference_mode(mode=False):
            frozen = {
                name: torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor.detach())
                for name, tensor in sorted(self.tensors.items())
            }
        object.__setattr__(self, "tensors", frozen)

    @property
    def digest(self) -> str:
        """SHA-256 of names, shapes and bytes: equal exactly when the statistics are equal bit by bit."""
        sha = hashlib.sha256(_DOMAIN)
        for name, tensor in sorted(self.tensors.items()):
            # With lengths before texts, two different statistics cannot write the same bytes.
            sha.update(f"{len(name.encode())}:{name}:{tuple(tensor.shape)}:".encode())
            sha.update(tensor.numpy().astype("<f4").tobytes())
        return sha.hexdigest()


def batch_norm_layers(module: nn.Module) -> dict[str, _BatchNorm]:
    """The batch-norm layers that keep running statistics, by name, in the module's order.

    >>> list(batch_norm_layers(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())))
    ['1']
    """
    return {
        name: layer
        for name, layer in module.named_modules()
        if isinstance(layer, _BatchNorm) and layer.running_mean is not None and layer.running_var is not None
    }


def adaptable(module: nn.Module) -> bool:
    """Whether the module has running statistics that could be adapted."""
    return bool(batch_norm_layers(module))


def estimate_statistics(
    module: nn.Module,
    clean: Tensor,
    noise: Noise,
    *,
    momentum: float = 1.0,
    generator: torch.Generator,
) -> Statistics:
    """Measure the batch-norm statistics of clean images under noise, mixed with the trained ones.

    One forward pass of a copy whose batch-norm layers, and nothing else, are in training mode: each layer
    normalises by its batch and so hands on what the next layer's statistics are to be about. A layer's batch
    mean μ_t and standard deviation s_t are mixed with the trained ones as μ = ρμ_t + (1 − ρ)μ_T and
    s = ρs_t + (1 − ρ)s_T. It is standard deviations that are mixed, as published, and not variances as in
    torch's own running update; s_t is the biased one that the pass itself divides by. A layer that the pass
    does not reach keeps its trained statistics; one that it reaches more than once pools them.

    The module itself, its mode and its buffers stay as they are. The same module, images and generator give
    the same statistics up to rounding, which may differ between devices and numbers of threads: where several
    workers must certify one function, one of them estimates and the others take its ``Statistics``.

    Args:
        module: f, images ``(b, c, h, w)`` in pixel units to logits, in float32.
        clean: ``(m, c, h, w)``, m >= 2, floating, in [0, 1]: diverse images, never the query. The paper
            takes 512.
        noise: The noise that will be certified, at its sigma; never clipped.
        momentum: ρ in (0, 1]; 1 forgets the trained statistics.
        generator: Source of the noise, on any device.

    Raises:
        NotAdaptable: The module has no batch-norm layer with running statistics.
        InvalidParameter: An argument is out of range, or the statistics are not finite.

    Reference:
        "Certification through Adaptation", Algorithm 1 and equation 2 (arXiv:2102.05096).

    >>> from smoothing import Gaussian, generator_for
    >>> net = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(4, 3))
    >>> clean = torch.full((1000, 1, 2, 2), 0.5)
    >>> statistics = estimate_statistics(net, clean, Gaussian(0.5), generator=generator_for(1, "adaptation"))
    >>> {name: round(float(tensor), 1) for name, tensor in statistics.tensors.items()}
    {'0.running_mean': 0.5, '0.running_var': 0.3}
    """
    trained = _buffers(module)
    _require_clean(clean)
    require_noise(noise)
    require_number(momentum, "momentum")
    require(0.0 < momentum <= 1.0, "momentum", "be in (0, 1]", momentum)
    moments: dict[str, _Moments] = {}
    # Tensors made in a caller's inference mode could never take part in a gradient again.
    with torch.inference_mode(mode=False), torch.no_grad():
        adapting = copy.deepcopy(module).eval()
        for name, layer in batch_norm_layers(adapting).items():
            layer.train()
            moments[name] = _Moments()
            layer.register_forward_pre_hook(moments[name].observe, with_kwargs=True)
        noisy = clean.to(generator.device, torch.float32)
        noisy = noisy + noise.sample(noisy.shape, generator=generator)
        adapting(noisy.to(next(iter(trained.values())).device))
        return Statistics(_mix(trained, moments, momentum))


def with_statistics(module: nn.Module, statistics: Statistics) -> nn.Module:
    """A deep copy of the module in eval mode with these batch-norm statistics: f adapted, and frozen.

    The original stays as it is. Calling ``.eval()`` on the copy changes nothing, calling ``.train()`` undoes
    the freezing.

    Raises:
        NotAdaptable: The module has no batch-norm layer with running statistics.
        InvalidParameter: The statistics are of other layers, or of other numbers of channels.

    Reference:
        "Certification through Adaptation", Algorithm 1, line 4 (arXiv:2102.05096).

    >>> net = nn.Sequential(nn.BatchNorm2d(2))
    >>> statistics = Statistics({"0.running_mean": torch.ones(2), "0.running_var": torch.ones(2)})
    >>> with_statistics(net, statistics)[0].running_mean, net[0].running_mean
    (tensor([1., 1.]), tensor([0., 0.]))
    """
    expected = {name: tuple(tensor.shape) for name, tensor in _buffers(module).items()}
    given = {name: tuple(tensor.shape) for name, tensor in statistics.tensors.items()}
    wrong = {
        name: given.get(name) for name in given.keys() | expected if given.get(name) != expected.get(name)
    }
    rule = f"be of this module's layers, { ({name: expected.get(name) for name in sorted(wrong)}) }"
    require(not wrong, "statistics", rule, dict(sorted(wrong.items())))
    with torch.inference_mode(mode=False), torch.no_grad():
        adapted = copy.deepcopy(module).eval()
        for name, buffer in _buffers(adapted).items():
            buffer.copy_(statistics.tensors[name])
    return adapted


class _Moments:
    """Count, sum and sum of squares of each channel, in float64 on the layer's device."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: Tensor | None = None  # (2, channels)

    def observe(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Take in a layer's input ``(b, channels, ...)``, before the layer does."""
        activations: Tensor = args[0] if args else kwargs["input"]
        for part in torch.split(activations.detach(), _PART):
            wide = part.double().transpose(0, 1).flatten(1)
            sums = torch.stack((wide.sum(dim=1), wide.square().sum(dim=1)))
            self.sums = sums if self.sums is None else self.sums + sums
            self.count += wide.shape[1]

    def mean_and_std(self) -> tuple[Tensor, Tensor] | None:
        """Mean and biased standard deviation ``(channels,)``, or None if nothing came in."""
        if self.sums is None:
            return None
        mean, mean_square = self.sums.cpu() / self.count
        return mean, (mean_square - mean.square()).clamp_min(0.0).sqrt()


def _mix(
    trained: Mapping[str, Tensor], moments: Mapping[str, _Moments], momentum: float
) -> dict[str, Tensor]:
    """Equation 2 for every layer, in float64: ρ of the batch's mean and std, 1 − ρ of the trained ones."""
    mixed = {name: buffer.detach().cpu().double() for name, buffer in trained.items()}
    for name, seen in moments.items():
        if (batch := seen.mean_and_std()) is not None:
            mean, std = mixed[f"{name}.{_MEAN}"], mixed[f"{name}.{_VAR}"].sqrt()
            mixed[f"{name}.{_MEAN}"] = momentum * batch[0] + (1.0 - momentum) * mean
            mixed[f"{name}.{_VAR}"] = (momentum * batch[1] + (1.0 - momentum) * std).square()
    return {name: tensor.float() for name, tensor in mixed.items()}


def _buffers(module: nn.Module) -> dict[str, Tensor]:
    """The running statistics of all batch-norm layers, at least one, by name."""
    buffers = {
        f"{name}.{which}": layer.get_buffer(which)
        for name, layer in batch_norm_layers(module).items()
        for which in (_MEAN, _VAR)
    }
    if not buffers:
        raise NotAdaptable(
            f"'{type(module).__name__}' must have batch-norm layers with running statistics, got none: "
            f"nothing can be adapted"
        )
    return buffers


def _require_clean(clean: Tensor) -> None:
    require(isinstance(clean, Tensor), "clean", "be a torch.Tensor", type(clean))
    require(clean.ndim == 4 and clean.numel() > 0, "clean", "have shape (m, c, h, w)", tuple(clean.shape))
    require(len(clean) >= 2, "clean", "hold at least 2 images", len(clean))
    require(clean.is_floating_point(), "clean", "be floating, in pixel units", clean.dtype)
    require_pixel_units(clean, "clean")
