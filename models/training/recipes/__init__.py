"""Training recipes by name. Each maps a :class:`Step`, and arguments of its own, to the loss of the batch."""

import inspect
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from models.training.recipes.adre import adre, adre_adv
from models.training.recipes.adversarial import adversarial
from models.training.recipes.consistency import consistency
from models.training.recipes.data_dependent import AROUND, data_dependent, first_levels
from models.training.recipes.gaussian import gaussian
from models.training.recipes.macer import macer
from models.training.recipes.normal_uniform import normal_uniform
from models.training.recipes.smoothadv import smoothadv
from models.training.recipes.standard import standard
from models.training.recipes.step import Step

Recipe = Callable[..., Tensor]

RECIPES: dict[str, Recipe] = {
    "standard": standard,
    "gaussian": gaussian,
    "adversarial": adversarial,
    "smoothadv": smoothadv,
    "macer": macer,
    "consistency": consistency,
    "adre": adre,
    "adre_adv": adre_adv,
    "normal_uniform": normal_uniform,
    "data_dependent": data_dependent,
}

WITHOUT_NOISE = frozenset({"standard", "adversarial"})
"""Recipes that never show noise to the classifier; a plan's sigma is then only that of the measurements."""


def first_memory(recipe: str, training_size: int, sigma: float, device: torch.device) -> dict[str, Tensor]:
    """Return what a recipe keeps from step to step, as it is before the first."""
    return first_levels(training_size, sigma, device) if recipe == "data_dependent" else {}


def recipe_parameters(recipe: str, arguments: Mapping[str, object]) -> dict[str, inspect.Parameter]:
    """Return a recipe's own parameters, with those of the recipe that it is trained around, if it is."""
    found = _keywords(RECIPES[recipe])
    if "around" in found:
        inner = AROUND.get(str(arguments.get("around", found["around"].default)))
        found |= {} if inner is None else _keywords(inner)
    return found


def _keywords(recipe: Recipe) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(recipe).parameters
    return {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


__all__ = ["RECIPES", "WITHOUT_NOISE", "Recipe", "Step", "first_memory", "recipe_parameters"]
