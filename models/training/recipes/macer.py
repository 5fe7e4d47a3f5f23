"""Training for a large certified radius, without attacks.

Claim: raising a soft stand-in for the radius of those images that are answered right costs no attack and
gives larger radii than noise alone.

Reference: Zhai, Dan, He, Zhang, Gong, Ravikumar, Hsieh and Wang, "MACER: Attack-free and Scalable Robust
Training via Maximizing Certified Radius", ICLR 2020, section 4.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from models.training.recipes.arguments import Copies, Positive, Weight
from models.training.recipes.copies import (
    gaussian_draws,
    logits_of_copies,
    mean_probabilities,
    negative_log,
)
from models.training.recipes.step import Step

Margin = Annotated[Positive, Field(description="γ: beyond it a radius is large enough.")]
InverseTemperature = Annotated[Positive, Field(description="β, sharpens the probabilities of the radius.")]


def macer(
    step: Step,
    *,
    copies: Copies = 16,
    weight: Weight = 12.0,
    margin: Margin = 8.0,
    inverse_temperature: InverseTemperature = 16.0,
) -> Tensor:
    """Return −log of the mean probability of the true class, and a hinge on the radius of right answers.

    The hinge is ``weight·σ/2·max(0, margin − (Φ⁻¹(p₁) − Φ⁻¹(p₂)))``, with p₁ and p₂ the two largest mean
    probabilities at the inverse temperature; images that those answer wrong, or beyond the range of Φ⁻¹ in
    float32, have none. Both terms are means over the whole batch.

    Args:
        step: The batch.
        copies: Noise draws of each image.
        weight: λ, of the hinge.
        margin: γ: beyond it a radius is large enough.
        inverse_temperature: β, sharpens the probabilities of which the radius is made.
    """
    logits = logits_of_copies(step.model, step.images, gaussian_draws(step, copies))
    likelihood = negative_log(mean_probabilities(logits), step.labels)
    top, classes = mean_probabilities(inverse_temperature * logits).topk(2, dim=1)
    # Φ⁻¹ of 0 or 1 is infinite, and so would its gradient be: such images are set aside before, not after.
    finite = (top[:, 0] < 1) & (top[:, 1] > 0)
    safe = top.where(finite.unsqueeze(1), top.new_tensor([0.75, 0.25]))
    gap = torch.special.ndtri(safe[:, 0]) - torch.special.ndtri(safe[:, 1])
    hinge = (margin - gap).clamp(min=0) * step.sigma / 2
    right = finite & (classes[:, 0] == step.labels)
    loss: Tensor = (likelihood + weight * hinge.where(right, 0.0)).mean()
    return loss
