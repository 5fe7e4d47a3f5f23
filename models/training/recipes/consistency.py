"""Training for equal answers under different draws of the noise.

Claim: asking that the draws agree is as good for the radius as far costlier training.

Reference: Jeong and Shin, "Consistency Regularization for Certified Robustness of Smoothed Classifiers",
NeurIPS 2020, section 3.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor

from models.training.recipes.arguments import Copies, NotNegative, Weight
from models.training.recipes.copies import (
    cross_entropy_of_copies,
    gaussian_draws,
    log_of,
    logits_of_copies,
    mean_probabilities,
)
from models.training.recipes.step import Step

SeveralCopies = Annotated[Copies, Field(ge=2)]
"""One copy agrees with itself."""
Entropy = Annotated[NotNegative, Field(description="η, weight of the mean's entropy.")]


def consistency(
    step: Step, *, copies: SeveralCopies = 2, weight: Weight = 5.0, entropy: Entropy = 0.5
) -> Tensor:
    """Return cross entropy + ``weight`` · mean KL(p̄‖pᵢ) + ``entropy`` · H(p̄), p̄ the mean of the copies' pᵢ.

    Args:
        step: The batch.
        copies: Noise draws of each image.
        weight: λ, of the divergence of each draw's probabilities from their mean.
        entropy: η, of the entropy of the mean.
    """
    logits = logits_of_copies(step.model, step.images, gaussian_draws(step, copies))
    soft = mean_probabilities(logits)
    log_soft = log_of(soft)
    divergence = (soft * (log_soft - logits.log_softmax(2))).sum(2).mean(0)
    uncertainty = -(soft * log_soft).sum(1)
    regularizer = (weight * divergence + entropy * uncertainty).mean()
    return cross_entropy_of_copies(logits, step.labels, step.label_smoothing) + regularizer
