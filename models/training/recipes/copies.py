"""Several noisy copies of each image, and what a classifier says of them."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.training.recipes.step import Step

_TINY = 1e-20
"""Least probability that a logarithm is taken of, as in the public code of SmoothAdv."""


def gaussian_draws(step: Step, copies: int = 1) -> Tensor:
    """Draw Gaussian noise ``(copies, b, c, h, w)``, each image's at its own level."""
    return _scaled(_empty(step, copies).normal_(generator=step.generator), step.sigma)


def uniform_draws(step: Step, copies: int = 1) -> Tensor:
    """Draw uniform noise ``(copies, b, c, h, w)`` on ±√3·σ: its standard deviation is each image's σ."""
    unit = _empty(step, copies).uniform_(-1, 1, generator=step.generator)
    return _scaled(unit, 3**0.5 * step.sigma)


def logits_of_copies(model: nn.Module, images: Tensor, noise: Tensor) -> Tensor:
    """Return logits ``(copies, b, k)`` of images under each draw, float32 at least, from one forward pass.

    Batch normalisation so sees all copies as one batch.
    """
    logits: Tensor = model((images + noise).flatten(0, 1))
    precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return precise.reshape(*noise.shape[:2], -1)


def mean_probabilities(logits: Tensor) -> Tensor:
    """Return the class probabilities ``(b, k)`` averaged over the copies: the soft smoothed classifier."""
    return logits.softmax(2).mean(0)


def cross_entropy_of_copies(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return the cross entropy, averaged over copies and images."""
    copies = logits.shape[0]
    return functional.cross_entropy(
        logits.flatten(0, 1), labels.repeat(copies), label_smoothing=label_smoothing
    )


def negative_log(probabilities: Tensor, classes: Tensor) -> Tensor:
    """Return −log of the probability ``(b,)`` that each image's class has."""
    return -log_of(probabilities.gather(1, classes.unsqueeze(1)).squeeze(1))


def log_of(probabilities: Tensor) -> Tensor:
    """Return the logarithm of each probability, finite also where it is 0."""
    return probabilities.clamp(min=_TINY).log()


def runner_up(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return the most probable class ``(b,)`` that is not the true one."""
    others = probabilities.scatter(1, labels.unsqueeze(1), -1.0)
    return others.argmax(1)


def _empty(step: Step, copies: int) -> Tensor:
    return step.images.new_empty((copies, *step.images.shape))


def _scaled(noise: Tensor, sigma: Tensor) -> Tensor:
    return noise.mul_(sigma.to(noise.dtype).view(1, -1, 1, 1, 1))
