"""The options of ``radii train``, made from the fields of the plan and the arguments of the recipes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, create_model

from models.training.plan import TrainingPlan
from models.training.recipes import RECIPES, recipe_parameters

_OTHERWISE = {
    "recipe",
    "out",
    "data_root",
    "architecture_arguments",
    "recipe_arguments",
    "name",
    "command",
}
"""Fields that are no options, or not under their name."""


def training_options() -> type[BaseModel]:
    """Return all options as one flat model, from which the command is made; a plan checks the values."""
    plan = TrainingPlan.model_fields
    fields: dict[str, Any] = {
        "data": (plan["data_root"].annotation, Field(None, description=plan["data_root"].description)),
        "width": (int | None, Field(None, description="Its width, for networks that have one.")),
    }
    fields |= {name: (field.annotation, field) for name, field in plan.items() if name not in _OTHERWISE}
    return create_model("TrainingOptions", **fields, **_of_recipes())


def plan_from(recipe: str, out: Path, given: Mapping[str, Any]) -> TrainingPlan:
    """Return the plan of the options that were given.

    Raises:
        TrainingError: An option breaks a rule, or the recipe does not take it.
    """
    fields = {name: value for name, value in given.items() if name in TrainingPlan.model_fields}
    others = {name: value for name, value in given.items() if name not in fields}
    width = others.pop("width", None)
    return TrainingPlan(
        recipe=recipe,
        out=out,
        data_root=others.pop("data", None),
        architecture_arguments={} if width is None else {"width": width},
        recipe_arguments=others,
        **fields,
    )


def _of_recipes() -> dict[str, Any]:
    """Return the arguments of all recipes by name, each with the recipes that take it."""
    takers: dict[str, list[str]] = {}
    kinds: dict[str, Any] = {}  # as `create_model` takes fields: kind and default
    for recipe in RECIPES:
        for name, parameter in recipe_parameters(recipe, {}).items():
            takers.setdefault(name, []).append(recipe)
            kinds.setdefault(name, (parameter.annotation, None))
    described = create_model("Arguments", **kinds).model_fields
    return {
        name: (field.annotation, Field(None, description=f"{', '.join(takers[name])}: {field.description}"))
        for name, field in described.items()
    }
