"""Adversarial training: on the worst perturbation of each image that projected gradient descent finds.

Claim: such a classifier was never shown noise, so under noise its batch-norm statistics are wrong and it is
right about as often as chance; with statistics re-estimated under the noise it certifies large radii, larger
still if training stops before it overfits.

Reference: Madry, Makelov, Schmidt, Tsipras and Vladu, "Towards Deep Learning Models Resistant to Adversarial
Attacks", ICLR 2018.

    radii train adversarial --dataset fashion-mnist --sigma 0.5 --width 16 --norm l2 --epsilon 1.5 \
        --attack-steps 10 --epochs 6 --no-flip --seed 0 --out adversarial
"""

from torch import Tensor
from torch.nn import functional

from models.training.attacks import STEP_SHARE, cross_entropy_of, pgd, undisturbed
from models.training.recipes.step import Step


def adversarial(step: Step, *, norm: str = "l2", epsilon: float = 1.5, attack_steps: int = 10) -> Tensor:
    """Return the cross entropy on adversarial images.

    Args:
        step: The batch.
        norm: ``l2`` or ``linf``.
        epsilon: Radius of the ball in which the attack searches, in pixel units.
        attack_steps: Its steps.
    """
    if norm not in STEP_SHARE:
        raise ValueError(f"'norm' must be one of {sorted(STEP_SHARE)}, got {norm!r}")
    if not (epsilon > 0 and attack_steps >= 1):
        raise ValueError(f"'epsilon' must be > 0 and 'attack_steps' >= 1, got {epsilon} and {attack_steps}")
    with undisturbed(step.model):
        attacked = pgd(
            cross_entropy_of(step.model, step.labels),
            step.images,
            norm=norm,
            epsilon=epsilon,
            steps=attack_steps,
            generator=step.generator,
        )
    return functional.cross_entropy(step.model(attacked), step.labels, label_smoothing=step.label_smoothing)
