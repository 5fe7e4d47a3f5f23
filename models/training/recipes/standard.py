"""Plain training, on images without noise.

Claim: none; all others are compared with it.
"""

from torch import Tensor
from torch.nn import functional

from models.training.recipes.step import Step


def standard(step: Step) -> Tensor:
    """Return the cross entropy on the augmented images."""
    return functional.cross_entropy(
        step.model(step.images), step.labels, label_smoothing=step.label_smoothing
    )
