"""Batch-norm statistics under a noise: estimated by one worker, used bit for bit by all."""

from collections.abc import Callable
from dataclasses import dataclass

import safetensors.torch
import torch
from redis import Redis

from contract import keys
from contract.limits import STATISTICS_TTL
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


def shared_statistics(
    redis: Redis, model_digest: str, law: AdaptationLaw, estimate: Callable[[], Statistics]
) -> Statistics:
    """Returns the statistics that all workers use: those of whoever published them first.

    Two machines may round differently, so only the first estimate counts, and this worker's own is dropped
    when it comes second.
    """
    key = keys.statistics(model_digest, law.name)
    stored = redis.get(key)
    if stored is None:
        redis.set(key, safetensors.torch.save(dict(estimate().tensors)), nx=True, ex=STATISTICS_TTL)
        stored = redis.get(key)
    else:
        redis.expire(key, STATISTICS_TTL)
    if not isinstance(stored, bytes):
        raise TypeError(f"the statistics under '{key}' must be bytes, got {type(stored).__name__}")
    return Statistics(safetensors.torch.load(stored))


def estimate(bundle: LoadedBundle, law: AdaptationLaw, device: torch.device) -> Statistics:
    """Estimates statistics from the bundle's clean images under the noise, the same ones every time."""
    clean = clean_images(bundle, law.clean_size).to(device)
    generator = generator_for(0, f"adaptation/{bundle.digest}/{law.name}", device=device)
    module = bundle.base_classifier.to(device)
    return estimate_statistics(module, clean, law.noise, momentum=law.momentum, generator=generator)
