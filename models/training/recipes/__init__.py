"""Training recipes by name. Each maps a :class:`Step`, and arguments of its own, to the loss of the batch."""

from collections.abc import Callable

from torch import Tensor

from models.training.recipes.gaussian import gaussian
from models.training.recipes.standard import standard
from models.training.recipes.step import Step

Recipe = Callable[..., Tensor]

RECIPES: dict[str, Recipe] = {"standard": standard, "gaussian": gaussian}

__all__ = ["RECIPES", "Recipe", "Step"]
