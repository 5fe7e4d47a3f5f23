"""Choosing the noise level by a model that is loaded, under a deadline and near the ends of what may be asked."""

import time
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from typing import Any

import pytest
import torch
from redis import Redis

from contract.choices import NoiseLevel
from contract.limits import OPTIMIZE_RANGE
from smoothing import Gaussian
from smoothing.noise_level import optimize
from tests.support.tasks import certify_task
from workers.job.deadline import Deadline
from workers.job.levels import Level, choose_level
from workers.job.progress import Watch
from workers.job.shelf import Resident, open_shelf
from workers.job.variants import Variants
from workers.settings import WorkerSettings

Choose = Callable[..., Level]


@pytest.fixture(scope="module")
def resident() -> Resident:
    return open_shelf(WorkerSettings(device="cpu", backend="eager")).load("fashion-mnist-gaussian")


@pytest.fixture
def choose(redis: Redis, resident: Resident) -> Iterator[Choose]:
    ends = Pipe()
    watch = Watch(redis, "a" * 32, ends[0])
    assert resident.bundle.clean is not None
    image = torch.from_numpy(resident.bundle.clean[0]).float() / 255

    def chosen(level: NoiseLevel, deadline: Deadline, alpha: float = 0.001, **fields: Any) -> Level:
        about: dict[str, Any] = {"sigma": 0.25, "sigma_grid": [0.12, 0.25], "n0": 10, "seed": "1"}
        task = certify_task(noise_level=level, **about | fields)
        variant = Variants(redis, 2).get(resident, None)
        return choose_level(
            task, Gaussian, task.question.resolved.sigma, alpha, 1,
            image=image, resident=resident, variant_for=lambda _sigma: variant, watch=watch, deadline=deadline,
        )  # fmt: skip

    yield chosen
    for end in ends:
        end.close()


def past() -> Deadline:
    deadline = Deadline(0.001)
    time.sleep(0.002)
    return deadline


@pytest.mark.parametrize(("alpha", "least"), [(0.001, 50), (1e-16, 54), (1e-50 / 2, 168)])
def test_however_late_trials_have_votes_enough_to_certify(choose: Choose, alpha: float, least: int) -> None:
    """Fewer could not compare the levels, and were an error of our own."""
    level = choose(NoiseLevel.AUTO, past(), alpha)
    assert max(trial.n for trial in level.trials) == least


def test_the_ascent_ends_with_its_share_of_the_time(choose: Choose) -> None:
    """Its votes up to then are told; at least those at the start are made."""
    whole = choose(NoiseLevel.OPTIMIZE, Deadline(None))
    late = choose(NoiseLevel.OPTIMIZE, past())
    assert whole.samples == 21 * late.samples
    assert late.sigma == 0.25


def test_the_range_of_optimize_is_that_of_its_defaults() -> None:
    """The API refuses starts by one, and the paper's method has the other."""
    assert (optimize.LOWEST, optimize.HIGHEST) == OPTIMIZE_RANGE


def test_the_least_start_that_is_let_in_is_climbed_from(choose: Choose) -> None:
    """The one multiple of the lattice within reach is where it ends."""
    level = choose(NoiseLevel.OPTIMIZE, Deadline(None), sigma=0.0025, adapt=True)
    assert level.sigma == 0.005
