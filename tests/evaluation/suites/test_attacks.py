"""Attacks on a classifier whose answer to every perturbation is known."""

from math import log
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evaluation.subject import Images
from evaluation.suites.attacks import ensemble_loss, standing_answers, threat_noise


def robust_counts(*arguments: Any, **words: Any) -> list[int]:
    """How many images stand at each radius."""
    return [int(standing.sum()) for standing in standing_answers(*arguments, **words)]


class Threshold(nn.Module):
    """Class 1 where the mean of four pixels exceeds a threshold: linear, so the least ℓ2 change is known.

    The mean moves by δ/2 for an ℓ2 change of δ over four pixels, and by δ for an ℓ∞ change of δ.
    """

    def __init__(self, threshold: float = 0.5, steepness: float = 10.0) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(threshold))
        self.steepness = steepness

    def forward(self, images: Tensor) -> Tensor:
        above = self.steepness * (images.mean((1, 2, 3)) - self.threshold)
        return torch.stack((-above, above), dim=1)


def grey(*levels: float) -> Images:
    """Four-pixel images of one brightness each; those above ½ are of class 1."""
    pixels = torch.tensor(levels).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()
    return Images(pixels, (torch.tensor(levels) > 0.5).long(), tuple(range(len(levels))))


@pytest.mark.parametrize(
    ("norm", "epsilons", "expected"),
    [
        # Margins of the mean: 0.1, 0.2, 0.3 and the same on the other side.
        ("linf", (0.05, 0.15, 0.25, 0.35), [6, 6, 4, 2, 0]),
        ("l2", (0.1, 0.3, 0.5, 0.7), [6, 6, 4, 2, 0]),  # twice as long, over four pixels
    ],
)
def test_an_attack_turns_exactly_what_lies_within_reach(
    norm: str, epsilons: tuple[float, ...], expected: list[int]
) -> None:
    model, images = Threshold(), grey(0.2, 0.3, 0.4, 0.6, 0.7, 0.8)
    found = robust_counts(model, [model], images, norm=norm, epsilons=epsilons, steps=10, seed=1)
    assert found == expected


def test_counts_never_rise_with_the_radius() -> None:
    """Even where the larger attack is weaker: what was turned stays turned."""

    class Waves(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            wave = torch.sin(60 * images.mean((1, 2, 3)))
            return torch.stack((wave, -wave), dim=1)

    model, images = Waves(), grey(*[step / 40 for step in range(1, 40)])
    labels = model(images.pixels).argmax(1)
    images = Images(images.pixels, labels, images.indices)
    found = robust_counts(
        model, [model], images, norm="linf", epsilons=(0.01, 0.03, 0.09, 0.3), steps=3, seed=1
    )
    assert found[0] == 39
    assert found == sorted(found, reverse=True)
    assert found[-1] < 39


def test_wrong_answers_are_wrong_without_an_attack() -> None:
    model, images = Threshold(), grey(0.2, 0.8)
    turned = Images(images.pixels, 1 - images.labels, images.indices)
    assert robust_counts(model, [model], turned, norm="l2", epsilons=(0.1,), steps=2, seed=1) == [0, 0]


def test_an_attack_leaves_no_gradient_behind() -> None:
    model = Threshold()
    robust_counts(model, [model], grey(0.4), norm="l2", epsilons=(0.1,), steps=2, seed=1)
    assert model.threshold.grad is None
    assert model.threshold.requires_grad


def test_the_logarithm_is_outside_of_the_mean() -> None:
    """Two classifiers that give the true class 0.9 and 0.1: −ln 0.5, not the mean of −ln 0.9 and −ln 0.1."""

    class Fixed(nn.Module):
        def __init__(self, probability: float) -> None:
            super().__init__()
            self.logits = torch.tensor([log(probability), log(1 - probability)])

        def forward(self, images: Tensor) -> Tensor:
            return self.logits.expand(len(images), 2)

    labels = torch.zeros(3, dtype=torch.int64)
    images = torch.zeros(3, 1, 2, 2)
    loss = ensemble_loss([Fixed(0.9), Fixed(0.1)], labels)(images)
    assert float(loss) == pytest.approx(-3 * log(0.5), rel=1e-5)
    alone = ensemble_loss([Fixed(0.9)], labels)(images)
    assert float(alone) == pytest.approx(-3 * log(0.9), rel=1e-5)


def test_an_ensemble_is_attacked_in_its_mean_and_the_victim_counts() -> None:
    """Thresholds 0.45 and 0.55 around the victim's 0.5: the attack that crosses both crosses the victim."""
    ensemble = [Threshold(0.45), Threshold(0.55)]
    found = robust_counts(
        Threshold(), ensemble, grey(0.4, 0.2), norm="linf", epsilons=(0.16,), steps=10, seed=1
    )
    assert found == [2, 1]


def test_the_noise_that_stands_for_a_ball_is_as_large_as_the_ball() -> None:
    generator = torch.Generator().manual_seed(0)
    gaussian = threat_noise("l2", 1.5, 784).sample((50, 784), generator=generator)
    assert float(gaussian.norm(dim=1).mean()) == pytest.approx(1.5, rel=0.02)
    uniform = threat_noise("linf", 0.03, 784).sample((50, 784), generator=generator)
    assert 0.0299 < float(uniform.abs().max()) <= 0.03
