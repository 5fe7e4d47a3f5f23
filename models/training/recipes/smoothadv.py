"""Adversarial training of the smoothed classifier.

Claim: attacking the *smoothed* classifier while training, not the base classifier, gives larger radii than
noise alone.

Reference: Salman, Yang, Li, Zhang, Zhang, Razenshteyn and Bubeck, "Provably Robust Deep Learning via
Adversarially Trained Smoothed Classifiers", NeurIPS 2019, section 2 and appendix.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor

from models.training.attacks import Loss, pgd, undisturbed
from models.training.recipes.arguments import AttackSteps, Copies, Radius, Share
from models.training.recipes.copies import (
    cross_entropy_of_copies,
    gaussian_draws,
    logits_of_copies,
    mean_probabilities,
    negative_log,
)
from models.training.recipes.step import Step

WarmUp = Annotated[Share, Field(description="Share of the training in which the attack's radius grows.")]


def smoothadv(
    step: Step,
    *,
    copies: Copies = 2,
    epsilon: Radius = 0.5,
    attack_steps: AttackSteps = 2,
    warm_up: WarmUp = 0.1,
) -> Tensor:
    """Return the cross entropy on noisy copies of images that were attacked under the very same noise.

    Args:
        step: The batch.
        copies: Noise draws of each image, the same ones in every step of the attack and in the update.
        epsilon: ℓ2 radius of the attack, in pixel units.
        attack_steps: Its steps, each of ``2·epsilon / attack_steps``.
        warm_up: Share of the training in which the radius grows to ``epsilon``.
    """
    noise = gaussian_draws(step, copies)

    def loss(images: Tensor) -> Tensor:
        soft = mean_probabilities(logits_of_copies(step.model, images, noise))
        return negative_log(soft, step.labels).sum()

    attacked = attack_smoothed(step, loss, warmed(epsilon, warm_up, step.progress), attack_steps)
    logits = logits_of_copies(step.model, attacked, noise)
    return cross_entropy_of_copies(logits, step.labels, step.label_smoothing)


def attack_smoothed(step: Step, loss: Loss, epsilon: float, attack_steps: int) -> Tensor:
    """Return the images after PGD in the ℓ2 ball, started at the images; weights stay as they are."""
    with undisturbed(step.model):
        return pgd(
            loss,
            step.images,
            norm="l2",
            epsilon=epsilon,
            steps=attack_steps,
            step_size=2 * epsilon / attack_steps,
            generator=None,
        )


def warmed(epsilon: float, warm_up: float, progress: float) -> float:
    """Return the radius of the attack at a point of the training: it grows linearly through the warm-up.

    >>> warmed(0.5, 0.1, 0.05), warmed(0.5, 0.1, 0.7), warmed(0.5, 0.0, 0.0)
    (0.25, 0.5, 0.5)
    """
    return epsilon if progress >= warm_up else epsilon * progress / warm_up
