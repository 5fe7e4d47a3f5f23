"""Training under Gaussian noise.

Reference: Cohen, Rosenfeld and Kolter, "Certified Adversarial Robustness via Randomized Smoothing",
ICML 2019, section 3.3.

    radii train gaussian --dataset fashion-mnist --sigma 0.5 --width 16 --epochs 10 --seed 0 --out fashion

takes about ten minutes on two CPU cores and gives 85.8 % of the test images right without noise, and 84.5 %
under noise of sigma 0.5.
"""

from torch import Tensor
from torch.nn import functional

from models.training.recipes.step import Step
from smoothing.noises import Gaussian


def gaussian(step: Step) -> Tensor:
    """Return the cross entropy on images under one draw of noise each."""
    noise = Gaussian(step.sigma).sample(
        step.images.shape, generator=step.generator, device=step.images.device, dtype=step.images.dtype
    )
    logits = step.model(step.images + noise)
    return functional.cross_entropy(logits, step.labels, label_smoothing=step.label_smoothing)
