"""How good a classifier is on held-out training images, by the measure that its recipe is after."""

from dataclasses import dataclass

import torch
from torch import nn

from models.data import LabelledImages
from models.training.measure import accuracy, robust_accuracy
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
        parameters = recipe_parameters(plan.recipe, plan.recipe_arguments)
        norm, epsilon, steps = (
            plan.recipe_arguments.get(name, parameters[name].default)
            for name in ("norm", "epsilon", "attack_steps")
        )
        attack = {"norm": norm, "epsilon": epsilon, "steps": steps}
        robust = robust_accuracy(classifier, held_out, seed=plan.seed, device=device, **attack)
    return Validation(
        clean=accuracy(classifier, held_out, device=device),
        noisy=accuracy(classifier, held_out, sigma=plan.sigma, device=device),
        robust=robust,
    )
