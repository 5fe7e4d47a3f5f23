"""Adversarial training: on the worst perturbation of each image that projected gradient descent finds.

Claim: such a classifier was never shown noise, so under noise its batch-norm statistics are wrong and it is
right about as often as chance; with statistics re-estimated under the noise it certifies large radii, larger
still if training stops before it overfits.

Reference: Madry, Makelov, Schmidt, Tsipras and Vladu, "Towards Deep Learning Models Resistant to Adversarial
Attacks", ICLR 2018.

    radii train adversarial --dataset fashion-mnist --sigma 0.5 --width 16 --norm l2 --epsilon 1.5 \
        --attack-steps 10 --epochs 6 --no-flip --seed 0 --out adversarial
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor
from torch.nn import functional

from models.training.attacks import cross_entropy_of, pgd, undisturbed
from models.training.recipes.arguments import Count, Norm, Radius
from models.training.recipes.step import Step

AttackSteps = Annotated[
    Count,
    Field(
        description="Steps of the attack. Those of adversarial are ε/8.5 long in l2 and ε/4 in linf, however "
        "many: fewer than 9 or 4 cannot reach the edge of the ball from its centre."
    ),
]


def adversarial(
    step: Step, *, norm: Norm = "l2", epsilon: Radius = 1.5, attack_steps: AttackSteps = 10
) -> Tensor:
    """Return the cross entropy on adversarial images.

    Args:
        step: The batch.
        norm: ``l2`` or ``linf``.
        epsilon: Radius of the ball in which the attack searches, in pixel units.
        attack_steps: Its steps, from a random start. However many, each is ``epsilon / 8.5`` long in ℓ2 and
            ``epsilon / 4`` in ℓ∞: fewer than 9 or 4 cannot go from the centre of the ball to its edge, and
            fewer than 17 or 8 not across it.
    """
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
