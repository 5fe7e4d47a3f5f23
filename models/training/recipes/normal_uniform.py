"""Training under the sum of Gaussian and uniform noise, with answers that agree with either alone.

Claim: one classifier so trained has better radii in ℓ1 and ℓ2 at once, at equal clean accuracy, than one
trained with either noise.

Reference: Nandi, Addepalli, Rangwani and Babu, "Certified Adversarial Robustness Within Multiple Perturbation
Bounds", 2023, sections 4.3 and 4.4.
"""

from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from models.training.recipes.arguments import NotNegative
from models.training.recipes.copies import gaussian_draws, logits_of_copies, uniform_draws
from models.training.recipes.step import Step

_UNIFORM_SHARE = 3**0.5 / 2
"""σ_U over σ_N: it gives the sum the kurtosis −0.22, the paper's choice."""

Similarity = Annotated[NotNegative, Field(description="β, weight of the divergences; 0: without them.")]


def normal_uniform(step: Step, *, similarity: Similarity = 2.0) -> Tensor:
    """Return CE(f(x+NU), y) + ``similarity`` · (KL(f(x+NU)‖f(x+N)) + KL(f(x+NU)‖f(x+U))).

    NU is the sum of Gaussian noise of the step's level and uniform noise of √3/2 of it; N and U are fresh
    draws of either alone. All three go through the network as one batch.

    Args:
        step: The batch; its sigma is that of the Gaussian part.
        similarity: β, of the divergences; 0 trains without them, in a third of the time.
    """
    flat = replace(step, sigma=_UNIFORM_SHARE * step.sigma)
    both = gaussian_draws(step) + uniform_draws(flat)
    if similarity == 0:
        return _cross_entropy(step, logits_of_copies(step.model, step.images, both)[0])
    noise = torch.cat([both, gaussian_draws(step), uniform_draws(flat)])
    under_both, under_normal, under_uniform = logits_of_copies(step.model, step.images, noise)
    divergence = _kl(under_both, under_normal) + _kl(under_both, under_uniform)
    return _cross_entropy(step, under_both) + similarity * divergence


def _cross_entropy(step: Step, logits: Tensor) -> Tensor:
    return functional.cross_entropy(logits, step.labels, label_smoothing=step.label_smoothing)


def _kl(logits: Tensor, other: Tensor) -> Tensor:
    """KL(p‖q) of two classifiers' probabilities, averaged over the images."""
    return functional.kl_div(
        other.log_softmax(1), logits.log_softmax(1), reduction="batchmean", log_target=True
    )
