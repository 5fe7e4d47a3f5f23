"""A plan refuses what would be measured twice, and seeds every image."""

import pytest
from pydantic import ValidationError

from evaluation.plan import EvaluationPlan
from tests.evaluation.benches import SMALL


def test_a_level_that_is_told_from_another_by_its_seventh_digit_is_refused() -> None:
    """Runs are known by six digits of their level: two alike would share their measurements."""
    with pytest.raises(ValidationError, match="'sigma' must differ in its first six digits"):
        EvaluationPlan.model_validate({**SMALL, "certify": {"sigmas": (0.5, 0.50000001)}})


@pytest.mark.parametrize(
    ("section", "field", "values"),
    [
        ("certify", "sigmas", (0.5, 0.5)),
        ("certify", "radii", (0.0, 0.0)),
        ("certify", "adapt", (True, True)),
        ("noise", "sigmas", (0.25, 0.25)),
        ("noise", "momenta", (1.0, 1.0)),
        ("noise", "clean_sizes", (8, 8)),
        ("attacks", "epsilons_l2", (1, 1)),
        ("attacks", "epsilons_linf", (0.1, 0.1)),
        ("attacks", "ensembles", (5, 5)),
        ("corruptions", "names", ("fog", "fog")),
        ("corruptions", "severities", (1, 1)),
        ("levels", "steps", (2, 2)),
        ("gradients", "sigmas", (0.5, 0.5)),
    ],
)
def test_what_is_asked_for_twice_is_refused(section: str, field: str, values: tuple[object, ...]) -> None:
    """Measured once and counted twice, it would make a sample look larger than it is."""
    with pytest.raises(ValidationError, match=f"'{field}' must hold no value twice, got"):
        EvaluationPlan.model_validate({**SMALL, section: {field: values}})


def test_the_seed_of_an_image_depends_on_its_place_and_the_run_alone() -> None:
    plans = [
        EvaluationPlan(bundles={}, suites=(), dataset=name, seed=seed)
        for seed in (0, 2**128 - 1)
        for name in ("fashion-mnist", "cifar10")
    ]
    seeds = {plan.image_seed(index) for plan in plans for index in range(3)}
    assert len(seeds) == 12
    assert all(0 <= seed < 2**128 for seed in seeds)
