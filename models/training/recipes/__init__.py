"""Training recipes by name. Each maps a :class:`Step`, and arguments of its own, to the loss of the batch."""

from collections.abc import Callable

from torch import Tensor

from models.training.recipes.adversarial import adversarial
from models.training.recipes.gaussian import gaussian
from models.training.recipes.standard import standard
from models.training.recipes.step import Step

Recipe = Callable[..., Tensor]

RECIPES: dict[str, Recipe] = {"standard": standard, "gaussian": gaussian, "adversarial": adversarial}

WITHOUT_NOISE = frozenset({"standard", "adversarial"})
"""Recipes that never show noise to the classifier; a plan's sigma is then only that of the measurements."""

__all__ = ["RECIPES", "WITHOUT_NOISE", "Recipe", "Step"]
