"""The attack of adversarial training stays in its ball, finds what it should and leaves no traces."""

import pytest
import torch
from torch import nn

from models.training.attacks import cross_entropy_of, pgd, undisturbed


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(("norm", "order"), [("l2", 2.0), ("linf", float("inf"))])
def test_perturbed_images_stay_in_the_ball_and_in_range(norm: str, order: float) -> None:
    """Also where the gradient pushes out of [0, 1], and where it vanishes."""
    images = torch.rand((16, 1, 6, 6), generator=generator())
    for loss in (lambda x: (1e3 * x).sum(), lambda x: (0.0 * x).sum()):
        perturbed = pgd(loss, images, norm=norm, epsilon=0.3, steps=5, generator=generator())
        distances = torch.linalg.vector_norm((perturbed - images).flatten(1), ord=order, dim=1)
        assert float(distances.max()) <= 0.3 + 1e-6
        assert float(perturbed.min()) >= 0.0
        assert float(perturbed.max()) <= 1.0


def test_the_worst_of_a_linear_classifier_is_found() -> None:
    """For logits ±w·x the worst l2 perturbation is epsilon along w, and the margin falls by 2·epsilon·‖w‖."""
    weight = torch.randn((1, 36), generator=generator())
    images = torch.full((4, 1, 6, 6), 0.5)

    def margin(x: torch.Tensor) -> torch.Tensor:
        return 2 * (x.flatten(1) @ weight.T)

    perturbed = pgd(
        lambda x: -margin(x).sum(), images, norm="l2", epsilon=0.4, steps=100, generator=generator()
    )
    fall = (margin(images) - margin(perturbed)).min()
    assert float(fall) == pytest.approx(2 * 0.4 * float(weight.norm()), rel=1e-4)


def test_an_attack_leaves_no_traces_in_the_classifier() -> None:
    """Running statistics, momentum, mode and the need for gradients are as before."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, momentum=0.3), nn.Flatten(), nn.LazyLinear(3))
    images, labels = torch.rand(8, 1, 6, 6), torch.zeros(8, dtype=torch.int64)
    model(images)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with undisturbed(model):
        pgd(cross_entropy_of(model, labels), images, norm="l2", epsilon=1.0, steps=2, generator=generator())
    after = model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before if "num_batches" not in key)
    assert model.training
    assert model[1].momentum == 0.3
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())


def test_an_attack_does_not_count_as_a_batch_of_cumulative_statistics() -> None:
    """Without a momentum, statistics are means over batches: three steps of an attack must not weigh in."""
    model = nn.Sequential(nn.BatchNorm2d(1, momentum=None), nn.Flatten(), nn.Linear(36, 2))
    batches = torch.rand(2, 8, 1, 6, 6, generator=generator())
    labels = torch.zeros(8, dtype=torch.int64)
    model(batches[0])
    with undisturbed(model):
        pgd(
            cross_entropy_of(model, labels),
            batches[0],
            norm="l2",
            epsilon=1.0,
            steps=3,
            generator=generator(),
        )
    model(batches[1])
    assert model[0].momentum is None
    assert float(model[0].running_mean) == pytest.approx(float(batches.mean()))
