"""How good a classifier is on held-out training images, by the measure that its recipe is after."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models.backends.precision import float32_means_float32
from models.data import LabelledImages
from models.training.attacks import withstood
from models.training.measure import accuracy
from models.training.plan import TrainingPlan
from models.training.recipes import RECIPES, recipe_parameters


@dataclass(frozen=True)
class Validation:
    """Parts of the held-out images that are answered right.

    Attributes:
        clean: without noise.
        noisy: under one draw of Gaussian noise at the plan's sigma.
        robust: under the recipe's own attack; None for recipes that are not compared under it.
    """

    clean: float
    noisy: float
    robust: float | None

    def score(self, recipe: str) -> float:
        """Return what early stopping looks at."""
        if self.robust is not None:
            return self.robust
        return self.noisy if RECIPES[recipe].noise else self.clean


def validate(
    plan: TrainingPlan, classifier: nn.Module, held_out: LabelledImages, device: torch.device
) -> Validation:
    """Measure a classifier in eval mode."""
    robust = None
    if RECIPES[plan.recipe].attacked:
        attack = {
            name: plan.recipe_arguments.get(name, parameter.default)
            for name, parameter in recipe_parameters(plan.recipe, plan.recipe_arguments).items()
        }
        robust = robust_accuracy(
            classifier,
            held_out,
            norm=str(attack["norm"]),
            epsilon=float(str(attack["epsilon"])),
            steps=int(str(attack["attack_steps"])),
            seed=plan.seed,
            device=device,
        )
    return Validation(
        clean=accuracy(classifier, held_out, device=device),
        noisy=accuracy(classifier, held_out, sigma=plan.sigma, device=device),
        robust=robust,
    )


def robust_accuracy(
    classifier: nn.Module,
    data: LabelledImages,
    *,
    norm: str,
    epsilon: float,
    steps: int,
    seed: int = 0,
    device: torch.device | str = "cpu",
    batch_size: int = 500,
) -> float:
    """Return the part of the images that are still answered right after projected gradient descent.

    The classifier is used as it is: put it into eval mode first. It is computed in float32, not TF32.

    Args:
        classifier: Images in pixel units to logits.
        data: What is attacked.
        norm: ``l2`` or ``linf``.
        epsilon: Radius of the ball, in pixel units.
        steps: Of the attack, from a random start.
        seed: Of the starts.
        device: Where it is computed.
        batch_size: Images at a time.
    """
    generator = torch.Generator(device).manual_seed(seed)
    right = 0
    with float32_means_float32(torch.device(device)):
        for start in range(0, len(data), batch_size):
            chunk = np.ascontiguousarray(data.images[start : start + batch_size])
            images: Tensor = torch.from_numpy(chunk).to(device).float() / 255
            labels = torch.from_numpy(data.labels[start : start + batch_size]).to(device)
            kept = withstood(
                classifier, images, labels, norm=norm, epsilon=epsilon, steps=steps, generator=generator
            )
            right += int(kept.sum())
    return right / len(data)
