"""Adaptive radius enhancing regularisation, without and with attacks.

Claim: rewarding distance from the runner-up class enlarges the radii of a Gaussian-trained classifier at the
same σ, and those of an adversarially trained smoothed classifier as well.

Reference: Feng, Wu, Chen, Zhang and Ning, "Regularized Training and Tight Certification for Randomized
Smoothed Classifier with Provable Robustness", AAAI 2020, Algorithm 1 and equations 6 to 8 and 13.
"""

from torch import Tensor

from models.training.recipes.arguments import AttackSteps, Copies, Radius, Weight
from models.training.recipes.copies import (
    cross_entropy_of_copies,
    gaussian_draws,
    logits_of_copies,
    mean_probabilities,
    negative_log,
    runner_up,
)
from models.training.recipes.smoothadv import attack_smoothed
from models.training.recipes.step import Step


def adre(step: Step, *, copies: Copies = 8, weight: Weight = 0.2) -> Tensor:
    """Return mean cross entropy − ``weight`` · cross entropy of the mean probabilities with the runner-up.

    Args:
        step: The batch.
        copies: k, noise draws of each image, the same in both terms.
        weight: λ, of the second term.
    """
    return _risk(step, step.images, gaussian_draws(step, copies), weight)


def adre_adv(
    step: Step,
    *,
    copies: Copies = 8,
    weight: Weight = 0.2,
    epsilon: Radius = 0.5,
    attack_steps: AttackSteps = 2,
) -> Tensor:
    """Return `adre` on images that were attacked: what is trained against is what the attack raises.

    Args:
        step: The batch.
        copies: k, noise draws of each image, the same in every step of the attack and in the update.
        weight: λ.
        epsilon: ℓ2 radius of the attack, in pixel units.
        attack_steps: Its steps, each of ``2·epsilon / attack_steps``.
    """
    noise = gaussian_draws(step, copies)

    def loss(images: Tensor) -> Tensor:
        soft = mean_probabilities(logits_of_copies(step.model, images, noise))
        away = negative_log(soft, runner_up(soft.detach(), step.labels))
        return (negative_log(soft, step.labels) - weight * away).sum()

    attacked = attack_smoothed(step, loss, epsilon, attack_steps)
    return _risk(step, attacked, noise, weight)


def _risk(step: Step, images: Tensor, noise: Tensor, weight: float) -> Tensor:
    logits = logits_of_copies(step.model, images, noise)
    soft = mean_probabilities(logits)
    away = negative_log(soft, runner_up(soft.detach(), step.labels)).mean()
    return cross_entropy_of_copies(logits, step.labels, step.label_smoothing) - weight * away
