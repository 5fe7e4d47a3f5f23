"""The hybrid: the table of the paper row by row, the radii of known classifiers, and the streams of the votes."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from smoothing import Certification, Gaussian, InvalidParameter, Noise, Radii, Target, certify, predict
from smoothing.bounds import two_sided
from smoothing.hybrid import (
    BRANCHES,
    NO_RADIUS,
    branch_seed,
    combine,
    combine_predictions,
)
from smoothing.noises import Uniform
from smoothing.predict import Prediction, decide

GAUSSIAN, UNIFORM = Gaussian(0.3), Uniform(0.5)


def certification(
    label: int | None, radius: Radii = NO_RADIUS, alpha: float = 0.001, num_classes: int = 3
) -> Certification:
    """A certificate of the label with the radius, or an abstention."""
    counts = np.zeros(num_classes, dtype=np.int64)
    counts[label or 0] = 100
    counts[1 if label != 1 else 0] += 0 if label is not None else 100
    bound = two_sided(counts, label or 0, alpha)
    assert bound.certifies == (label is not None)
    return Certification(
        radius=radius if label is not None else NO_RADIUS,
        bound=bound,
        bound_name="two_sided",
        counts=counts,
        look_alpha=alpha,
        alpha=alpha,
        target_radius=None,
        noise=GAUSSIAN,
        dimension=6,
        seed=0,
        selection_counts=counts,
        n_drawn=int(counts.sum()),
    )


def prediction(label: int | None) -> Prediction:
    """A prediction of the label, or an abstention."""
    votes = np.full(3, 30) if label is None else np.eye(3, dtype=np.int64)[label] * 100
    return decide(votes, 0.001)


@dataclass(frozen=True)
class FirstCoordinate:
    """Class 0 where the first coordinate is above a threshold, at the same distance in every norm."""

    threshold: float

    def __call__(self, images: Tensor) -> Tensor:
        score = images.double().flatten(1)[:, 0] - self.threshold
        return torch.stack((score, -score), dim=1)


def branches_of(classifier: Any, image: Tensor, **arguments: Any) -> tuple[Certification, Certification]:
    """Both branches at half of alpha, each with a seed of its own."""
    gaussian, uniform = (
        certify(classifier, image, noise, alpha=0.001 / 2, seed=branch_seed(5, noise.name), **arguments)
        for noise in (GAUSSIAN, UNIFORM)
    )
    return gaussian, uniform


ROUND = Radii(l2=0.6, l1=0.6, linf=0.2)  # as a Gaussian gives
FLAT = Radii(l2=0.4, l1=0.9, linf=0.1)  # as a uniform noise gives
TABLE = [
    (2, 2, 2, Radii(l2=0.6, l1=0.9, linf=0.2), Radii(l2=0.4, l1=0.6, linf=0.1), None),
    (1, None, 1, ROUND, NO_RADIUS, None),
    (None, 1, 1, FLAT, NO_RADIUS, None),
    (None, None, None, NO_RADIUS, NO_RADIUS, "top_class_not_separated"),
    (1, 2, None, NO_RADIUS, NO_RADIUS, "branches_disagree"),
]


@pytest.mark.parametrize(("gaussian", "uniform", "label", "radius", "same_class_radius", "reason"), TABLE)
def test_decision_table(
    gaussian: int | None,
    uniform: int | None,
    label: int | None,
    radius: Radii,
    same_class_radius: Radii,
    reason: str | None,
) -> None:
    """A row each: the larger radius per norm, and beside it the smaller one; a prediction needs both branches."""
    got = combine(certification(gaussian, ROUND), certification(uniform, FLAT))
    assert got.top_class == label
    assert got.abstained == (label is None)
    assert got.radius == radius
    assert got.same_class_radius == same_class_radius
    assert got.abstain_reason == reason
    agreed = label if gaussian == uniform else None
    assert combine_predictions(prediction(gaussian), prediction(uniform)) == agreed


labels = st.one_of(st.none(), st.integers(0, 2))
sizes = st.floats(0.0, 5.0)
radii = st.builds(Radii, sizes, sizes, sizes)


@given(one=labels, other=labels, radius=radii, other_radius=radii)
def test_combining_is_symmetric_and_never_claims_more_than_a_branch(
    one: int | None, other: int | None, radius: Radii, other_radius: Radii
) -> None:
    """Each radius is some branch's own about the very label that is answered; the smaller one is both's."""
    first, second = certification(one, radius), certification(other, other_radius)
    got, swapped = combine(first, second), combine(second, first)
    assert (got.top_class, got.radius, got.same_class_radius, got.abstain_reason) == (
        swapped.top_class,
        swapped.radius,
        swapped.same_class_radius,
        swapped.abstain_reason,
    )
    agreeing = [
        branch for branch in (first, second) if not branch.abstained and branch.top_class == got.top_class
    ]
    for norm in ("l2", "l1", "linf"):
        claimed = getattr(got.radius, norm)
        assert claimed == max((getattr(branch.radius, norm) for branch in agreeing), default=0.0)
        assert getattr(got.same_class_radius, norm) <= claimed
        if len(agreeing) < 2:
            assert getattr(got.same_class_radius, norm) == 0.0


def test_alpha_is_the_sum_of_the_branches() -> None:
    """By the union bound; the branches may spend different parts."""
    assert combine(certification(0, ROUND, 0.01), certification(0, FLAT, 0.03)).alpha == pytest.approx(0.04)


def test_branches_of_different_classifiers_are_refused() -> None:
    """Ten classes and three cannot be about one question."""
    with pytest.raises(InvalidParameter, match="'uniform' must have the 3 classes of 'gaussian', got 10"):
        combine(certification(0, ROUND), certification(0, FLAT, num_classes=10))


def test_seeds_of_the_branches_are_fixed_and_unrelated() -> None:
    """Known values, from hashlib by hand, so that recorded seeds draw the same votes in later versions."""
    assert f"{branch_seed(0, 'gaussian'):032x}" == "b4f6ac0f349e5bd6e3a1fd8462a000d8"
    drawn = {branch_seed(seed, branch) for seed in range(100) for branch in BRANCHES}
    assert len(drawn | set(range(100))) == 300
    assert all(0 <= seed < 2**128 for seed in drawn)
    assert max(drawn) > 2**126


@pytest.mark.parametrize(
    ("seed", "branch", "message"),
    [
        (-1, "gaussian", r"'seed' must be in 0\.\.2\*\*128 - 1, got -1"),
        (2**128, "uniform", "'seed' must be in"),
        (0, "laplace", "'branch' must be one of gaussian, uniform, got 'laplace'"),
    ],
)
def test_bad_seeds_and_branches_are_named(seed: int, branch: str, message: str) -> None:
    """As everywhere: name, rule, value."""
    with pytest.raises(InvalidParameter, match=message):
        branch_seed(seed, branch)


def test_branches_draw_from_different_streams(stripes: Any, image: Tensor) -> None:
    """Coin flips by the sign of the noise's sum would coincide if both branches shared a stream."""
    signs: dict[str, list[Tensor]] = {}

    def recorder(branch: str) -> Any:
        def classifier(images: Tensor) -> Tensor:
            above = (images - image).flatten(1).double() > 0
            signs.setdefault(branch, []).append(above)
            return torch.stack((above[:, 0].double(), 1.0 - above[:, 0].double()), dim=1)

        return classifier

    for noise in (GAUSSIAN, UNIFORM):
        certify(recorder(noise.name), image, noise, n=2000, seed=branch_seed(5, noise.name))
    one, other = (torch.cat(signs[branch]) for branch in BRANCHES)
    assert one.shape == other.shape
    agreement = float((one == other).double().mean())
    assert agreement == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(one.numel()))


def test_radii_of_a_plane_come_near_its_distance(image: Tensor, device: str) -> None:
    """An axis-aligned plane at 0.4: each branch is at its best in its own norm, and neither beyond the truth."""
    classifier = FirstCoordinate(float(image.flatten()[0]) - 0.4)
    gaussian, uniform = branches_of(classifier, image.to(device), n=40_000, batch_size=10_000)
    got = combine(gaussian, uniform)
    assert got.top_class == 0
    assert got.radius.l2 == gaussian.radius.l2 > uniform.radius.l2
    assert got.radius.l1 == max(gaussian.radius.l1, uniform.radius.l1)
    assert 0.38 < got.radius.l2 <= got.radius.l1 <= 0.4
    assert got.same_class_radius.l2 == uniform.radius.l2
    assert 0.38 < got.same_class_radius.l1 <= got.radius.l1


def test_a_target_is_each_branchs_in_its_own_norm(image: Tensor) -> None:
    """A plane at 0.4: both decide that 0.25 can be certified, long before all votes are drawn."""
    classifier = FirstCoordinate(float(image.flatten()[0]) - 0.4)
    gaussian, uniform = branches_of(classifier, image, n=100_000, batch_size=500, stop=Target(0.25))
    assert gaussian.stop_reason == uniform.stop_reason == "target_reached"
    assert gaussian.radius.l2 >= 0.25
    assert uniform.radius.l1 >= 0.25
    assert max(gaussian.n_drawn, uniform.n_drawn) < 20_000


def test_no_prediction_names_another_class_inside_a_certified_ball(image: Tensor) -> None:
    """Near the edge of the Gaussian's ball, where its votes decide nothing and the uniform's are for another class.

    The first pixel decides: class 0 above a plane, except in a strip at the edge that only little noise stays in.
    """
    first, edge = float(image.flatten()[0]), 0.02
    little = Uniform(0.002)

    def strip(images: Tensor) -> Tensor:
        below = first - edge - images.double().flatten(1)[:, 0]  # how far below the neighbour
        other = (below > 0.025) | (below.abs() < 0.004)
        return torch.stack((~other, other), dim=1).double()

    wide = Gaussian(0.25)
    certified = combine(*(
        certify(strip, image, noise, n=100_000, alpha=0.0005, seed=branch_seed(3, noise.name), batch_size=10_000)
        for noise in (wide, little)
    ))  # fmt: skip
    assert certified.top_class == 0
    assert certified.radius.l2 > edge
    neighbour = image.clone()
    neighbour.view(-1)[0] -= edge
    answers = []
    for seed in range(40):
        both = [
            predict(strip, neighbour, noise, n=1000, alpha=0.0005, seed=branch_seed(seed, noise.name))
            for noise in (wide, little)
        ]
        assert both[1].top_class == 1
        assert not both[1].abstained
        answers.append(combine_predictions(*both))
    assert 1 not in answers


def test_predictions_of_both_branches_combine(half_space: Any, image: Tensor) -> None:
    """Through the real thing: sampled predictions under both noises."""
    noises: dict[str, Noise] = {"gaussian": GAUSSIAN, "uniform": UNIFORM}
    answers = {
        branch: predict(half_space(0.3), image, noise, n=500, seed=branch_seed(5, branch))
        for branch, noise in noises.items()
    }
    assert combine_predictions(**answers) == 0
