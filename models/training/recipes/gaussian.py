"""Training under Gaussian noise.

Claim: a classifier that has seen the noise answers well under it, so its smoothed version has radii worth
having.

Reference: Cohen, Rosenfeld and Kolter, "Certified Adversarial Robustness via Randomized Smoothing",
ICML 2019, section 3.3.
"""

from torch import Tensor

from models.training.recipes.copies import cross_entropy_of_copies, gaussian_draws, logits_of_copies
from models.training.recipes.step import Step


def gaussian(step: Step) -> Tensor:
    """Return the cross entropy on images under one draw of noise each."""
    logits = logits_of_copies(step.model, step.images, gaussian_draws(step))
    return cross_entropy_of_copies(logits, step.labels, step.label_smoothing)
