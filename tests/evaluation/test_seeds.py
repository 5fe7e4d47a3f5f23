"""Seeds of images."""

from evaluation.plan import EvaluationPlan
from evaluation.seeds import image_seed


def test_the_seed_of_an_image_depends_on_its_place_and_the_run_alone() -> None:
    plans = [
        EvaluationPlan(bundles={}, suites=(), dataset=name, seed=seed)
        for seed in (0, 2**128 - 1)
        for name in ("fashion-mnist", "cifar10")
    ]
    seeds = {image_seed(plan, index) for plan in plans for index in range(3)}
    assert len(seeds) == 12
    assert all(0 <= seed < 2**128 for seed in seeds)
