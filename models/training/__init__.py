"""Training of base classifiers: one loop, short recipes, and a bundle at the end."""

from models.errors import TrainingError
from models.training.plan import TrainingPlan
from models.training.train import train

__all__ = ["TrainingError", "TrainingPlan", "train"]
