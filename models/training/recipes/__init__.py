"""Training recipes by name."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import BaseModel, ValidationError, create_model
from torch import Tensor

from models.errors import TrainingError, faults
from models.training.recipes.adre import adre, adre_adv
from models.training.recipes.adversarial import adversarial
from models.training.recipes.consistency import consistency
from models.training.recipes.data_dependent import data_dependent, first_levels
from models.training.recipes.gaussian import gaussian
from models.training.recipes.macer import macer
from models.training.recipes.normal_uniform import normal_uniform
from models.training.recipes.smoothadv import smoothadv
from models.training.recipes.standard import standard
from models.training.recipes.step import Step


@dataclass(frozen=True)
class Recipe:
    """A way to train, and what the rest of training has to know about it.

    Attributes:
        loss: a :class:`Step`, and arguments of its own by keyword, to the loss of the batch. The arguments'
            annotations are rules of pydantic's, which a plan checks; the loss itself does not.
        noise: whether the classifier is shown noise; if not, a plan's sigma is only that of the measurements.
        attacked: whether epochs are compared under its own attack on the held-out images; the recipe then has
            the arguments ``norm``, ``epsilon`` and ``attack_steps``.
        keep: which epoch a bundle holds where the plan leaves it open.
        label_smoothing: whether it has a cross entropy that takes it.
        memory: the number of training images, the plan's sigma and the device to what the recipe keeps from
            step to step, as it is before the first; None: nothing, as most know one step at a time.
    """

    loss: Callable[..., Tensor]
    noise: bool = True
    attacked: bool = False
    keep: Literal["best", "last"] = "last"
    label_smoothing: bool = True
    memory: Callable[[int, float, torch.device], dict[str, Tensor]] | None = None


RECIPES: dict[str, Recipe] = {
    "standard": Recipe(standard, noise=False),
    "gaussian": Recipe(gaussian),
    "adversarial": Recipe(adversarial, noise=False, attacked=True, keep="best"),
    "smoothadv": Recipe(smoothadv),
    "macer": Recipe(macer, label_smoothing=False),
    "consistency": Recipe(consistency),
    "adre": Recipe(adre),
    "adre_adv": Recipe(adre_adv),
    "normal_uniform": Recipe(normal_uniform),
    "data_dependent": Recipe(data_dependent, memory=first_levels),
}


def recipe_within(recipe: str, arguments: Mapping[str, object]) -> str:
    """Return the name of the recipe whose loss it comes to: the one it is trained around, or its own."""
    around = _keywords(recipe).get("around")
    return recipe if around is None else str(arguments.get("around", around.default))


def recipe_parameters(recipe: str, arguments: Mapping[str, object]) -> dict[str, inspect.Parameter]:
    """Return a recipe's own parameters, with those of the recipe that it is trained around, if it is."""
    within = recipe_within(recipe, arguments)
    return _keywords(recipe) | (_keywords(within) if within in RECIPES else {})


def checked_arguments(recipe: str, arguments: Mapping[str, object]) -> dict[str, Any]:
    """Return the arguments of a recipe, checked by its annotations.

    Raises:
        TrainingError: The recipe does not have one of them, or it breaks its rule.
    """
    known = recipe_parameters(recipe, arguments)
    for name in arguments:
        if name not in known:
            raise TrainingError(f"'{name}' is no argument of the recipe '{recipe}'")
    fields: dict[str, Any] = {name: (known[name].annotation, known[name].default) for name in known}
    try:
        checked: BaseModel = create_model(recipe, **fields)(**arguments)
    except ValidationError as error:
        raise TrainingError(faults(error, recipe)) from error
    return checked.model_dump(exclude_unset=True)


def _keywords(recipe: str) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(RECIPES[recipe].loss).parameters
    return {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


__all__ = [
    "RECIPES",
    "Recipe",
    "Step",
    "checked_arguments",
    "recipe_parameters",
    "recipe_within",
]
