"""Training in which each image has a noise level of its own.

Claim: an image far from every boundary gains from more noise than one near it, so levels that follow the
image give larger radii than one level for all; most of all if certification chooses them, too.

Reference: Alfarra, Bibi, Torr and Ghanem, "Data Dependent Randomized Smoothing", UAI 2022, Algorithm 2.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from models.training.attacks import undisturbed
from models.training.recipes.arguments import Count, NotNegative, Share
from models.training.recipes.copies import logits_of_copies, mean_probabilities
from models.training.recipes.gaussian import gaussian
from models.training.recipes.macer import macer
from models.training.recipes.smoothadv import smoothadv
from models.training.recipes.step import Step
from smoothing.noise_level import soft_proxy_radius
from smoothing.noises import Gaussian

AROUND: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {"gaussian": gaussian, "smoothadv": smoothadv, "macer": macer}
)
"""Recipes that can be trained around."""

Around = Annotated[
    Literal["gaussian", "smoothadv", "macer"], Field(description="The recipe that it is trained around.")
]
FixedShare = Annotated[Share, Field(description="Share of the training at one level.")]
StepSize = Annotated[NotNegative, Field(description="Of a level's step.")]
Samples = Annotated[Count, Field(description="Noisy copies behind a level's step.")]

LOWEST, HIGHEST = 0.25, 2.0
"""Bounds on a level, as multiples of the plan's sigma; without them easy images drift off."""


def data_dependent(
    step: Step,
    *,
    around: Around = "gaussian",
    fixed_share: FixedShare = 0.3,
    step_size: StepSize = 0.06,
    samples: Samples = 4,
    **arguments: float,
) -> Tensor:
    """Return another recipe's loss, each image's noise being of its own level.

    After a first stretch at the plan's level, each time that an image comes up its level takes one step of
    OptimizeSigma, from where it was left an epoch before: σ ← σ + ``step_size``·σ₀·∂R̂/∂σ.

    Args:
        step: The batch; its sigma is where the levels start.
        around: ``gaussian``, ``smoothadv`` or ``macer``.
        fixed_share: Share of the training that goes by at the plan's level.
        step_size: Of the ascent, relative to the plan's level: the radius's gradient has no unit.
        samples: Noisy copies that the gradient is the mean of.
        arguments: Of the recipe around which it is trained.
    """
    levels = step.memory["sigma"]
    if step.progress >= fixed_share:
        levels[step.indices] = _ascended(step, levels[step.indices], step_size, samples)
    return AROUND[around](replace(step, sigma=levels[step.indices]), **arguments)


def first_levels(training_size: int, sigma: float, device: torch.device) -> dict[str, Tensor]:
    """Return what the recipe keeps, as it is at first: the level of every training image ``(n,)``."""
    return {"sigma": torch.full((training_size,), sigma, device=device)}


def _ascended(step: Step, sigma: Tensor, step_size: float, samples: int) -> Tensor:
    unit = torch.randn(
        (samples, *step.images.shape),
        generator=step.generator,
        device=step.images.device,
        dtype=step.images.dtype,
    )
    leaf = sigma.clone().requires_grad_()
    with undisturbed(step.model):
        soft = mean_probabilities(logits_of_copies(step.model, step.images, unit * leaf.view(1, -1, 1, 1, 1)))
        radius = soft_proxy_radius(soft, leaf, Gaussian)
        (gradient,) = torch.autograd.grad(radius.sum(), leaf)
    start = step.sigma
    moved = sigma + step_size * start * gradient
    return torch.minimum(torch.maximum(moved, LOWEST * start), HIGHEST * start)
