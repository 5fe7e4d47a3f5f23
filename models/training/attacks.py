"""Projected gradient descent: the worst perturbation of a batch that is found within a ball."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

STEP_SHARE = {"l2": 8.5, "linf": 4.0}
"""A step is epsilon divided by this, per norm."""

_TINY = 1e-12

Loss = Callable[[Tensor], Tensor]
"""Perturbed images ``(b, c, h, w)`` to the loss that is to be raised, summed over the batch."""


def pgd(
    loss: Loss,
    images: Tensor,
    *,
    norm: str,
    epsilon: float,
    steps: int,
    generator: torch.Generator | None,
    step_size: float | None = None,
) -> Tensor:
    """Return perturbed images ``(b, c, h, w)`` in [0, 1], each within ``epsilon`` of its own.

    Args:
        loss: What is raised; a sum over the batch, so that no image's step depends on the others.
        images: In pixel units [0, 1].
        norm: ``l2`` or ``linf``.
        epsilon: Radius of the ball, in pixel units.
        steps: Ascent steps.
        generator: Source of a random start; None starts at the images themselves.
        step_size: Length of a step, in pixel units; ``epsilon / STEP_SHARE[norm]`` if None.

    Reference:
        Madry, Makelov, Schmidt, Tsipras & Vladu, "Towards Deep Learning Models Resistant to Adversarial
        Attacks", ICLR 2018; constants of Rice, Wong & Kolter, "Overfitting in adversarially robust deep
        learning", ICML 2020.
    """
    length = epsilon / STEP_SHARE[norm] if step_size is None else step_size
    perturbed = images
    if generator is not None:
        perturbed = _clipped(images, _start(images, norm, epsilon, generator), norm, epsilon)
    for _ in range(steps):
        leaf = perturbed.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(leaf), leaf)
        step = length * _steepest(gradient.float(), norm)
        perturbed = _clipped(images, perturbed.detach() + step - images, norm, epsilon)
    return perturbed.detach()


def withstood(
    victim: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    loss: Loss | None = None,
    attacked: Sequence[nn.Module] = (),
    **attack: Any,
) -> Tensor:
    """Return which images ``(b,)`` a classifier answers right after an attack.

    Args:
        victim: The classifier, in eval mode.
        images: In pixel units [0, 1], ``(b, c, h, w)``.
        labels: True classes ``(b,)``.
        loss: What is raised; the victim's cross entropy by default.
        attacked: Classifiers that the loss is made of; the victim by default.
        attack: Arguments of ``pgd``.
    """
    with undisturbed(*(attacked or (victim,))):
        perturbed = pgd(loss or cross_entropy_of(victim, labels), images, **attack)
    with torch.no_grad():
        right: Tensor = victim(perturbed).argmax(1) == labels
    return right


def cross_entropy_of(model: nn.Module, labels: Tensor) -> Loss:
    """Return the usual loss: the cross entropy of the true classes ``(b,)``."""

    def loss(images: Tensor) -> Tensor:
        return functional.cross_entropy(model(images), labels, reduction="sum")

    return loss


@contextmanager
def undisturbed(*models: nn.Module) -> Iterator[None]:
    """Keep an attack from leaving traces: no gradients of weights, and no running statistics.

    Batch normalisation stays in the mode it is in, so that the attack is on what is about to be trained.
    Where its momentum is None, the count of batches weighs each of them in the running statistics, and is put
    back as well; elsewhere the count decides nothing, and goes on.
    """
    weights = [weight for model in models for weight in model.parameters() if weight.requires_grad]
    layers = [part for model in models for part in model.modules() if isinstance(part, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    counted = [layer.num_batches_tracked for layer in layers if layer.momentum is None]
    counts = [(count, count.clone()) for count in counted if count is not None]
    for weight in weights:
        weight.requires_grad = False
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad = True
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for count, before in counts:
            count.copy_(before)


def _start(images: Tensor, norm: str, epsilon: float, generator: torch.Generator) -> Tensor:
    """A random point of the ball: any of the cube, or any direction and any length."""
    if norm == "linf":
        return torch.empty_like(images).uniform_(-epsilon, epsilon, generator=generator)
    direction = torch.empty_like(images).normal_(generator=generator)
    length = torch.rand((len(images), 1, 1, 1), generator=generator, device=images.device)
    return epsilon * length * direction / _l2(direction)


def _steepest(gradient: Tensor, norm: str) -> Tensor:
    return gradient.sign() if norm == "linf" else gradient / _l2(gradient)


def _clipped(images: Tensor, perturbation: Tensor, norm: str, epsilon: float) -> Tensor:
    """The perturbed images, brought back into the ball and then into [0, 1], which lies nearer still."""
    if norm == "linf":
        perturbation = perturbation.clamp(-epsilon, epsilon)
    else:
        perturbation = perturbation * (epsilon / _l2(perturbation)).clamp(max=1.0)
    return (images + perturbation).clamp(0.0, 1.0)


def _l2(tensor: Tensor) -> Tensor:
    """Length of each image ``(b, 1, 1, 1)``, never 0."""
    length: Tensor = torch.linalg.vector_norm(tensor, dim=(1, 2, 3), keepdim=True)
    return length.clamp(min=_TINY)
