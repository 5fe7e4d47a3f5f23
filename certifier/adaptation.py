"""Batch-norm statistics under a noise: estimated once, used bit for bit by all."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import safetensors.torch
import torch

from contract.tasks import Resolved
from models.bundles import LoadedBundle
from models.clean_images import clean_images
from smoothing import Noise, Statistics, estimate_statistics, generator_for


@dataclass(frozen=True)
class AdaptationLaw:
    """What decides the statistics of a model: the noise, the weight of the new ones, the clean images."""

    noise: Noise
    momentum: float
    clean_size: int

    @property
    def name(self) -> str:
        """A text that differs whenever the statistics may differ."""
        return f"{self.noise.name}:{self.noise.sigma!r}:{self.momentum!r}:{self.clean_size}"


def adaptation_law(resolved: Resolved, noise: Noise) -> AdaptationLaw | None:
    """Returns the law of a question under one noise; None: the model is used as it was trained."""
    return AdaptationLaw(noise, resolved.momentum, resolved.clean_size) if resolved.adapt else None


class StatisticsStore(Protocol):
    """Where statistics are shared: the first value of a name stays."""

    def get_or_publish(self, model_digest: str, law_name: str, make: Callable[[], bytes]) -> bytes:
        """Returns the bytes under a name; where there are none, makes and publishes them first."""


class StatisticsHere:
    """Statistics of this process alone."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], bytes] = {}

    def get_or_publish(self, model_digest: str, law_name: str, make: Callable[[], bytes]) -> bytes:
        """Returns the bytes under a name, made at the first call."""
        key = (model_digest, law_name)
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]


def shared_statistics(
    store: StatisticsStore, model_digest: str, law: AdaptationLaw, estimate: Callable[[], Statistics]
) -> Statistics:
    """Returns the statistics that all workers use: those that were published first.

    Two machines may round differently, so only the first estimate counts, and this process's own is dropped
    when it comes second.
    """
    stored = store.get_or_publish(
        model_digest, law.name, lambda: safetensors.torch.save(dict(estimate().tensors))
    )
    return Statistics(safetensors.torch.load(stored))


def estimate(bundle: LoadedBundle, law: AdaptationLaw, device: torch.device) -> Statistics:
    """Estimates statistics from the bundle's clean images under the noise, the same ones every time."""
    clean = clean_images(bundle, law.clean_size).to(device)
    generator = generator_for(0, f"adaptation/{bundle.digest}/{law.name}", device=device)
    module = bundle.base_classifier.to(device)
    return estimate_statistics(module, clean, law.noise, momentum=law.momentum, generator=generator)
