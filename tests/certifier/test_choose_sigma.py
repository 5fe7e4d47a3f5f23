"""Choosing the noise level by a model that is loaded, when time is short and near the ends of what may be asked."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from certifier import LoadedModel, Observer, Variants, VoteKeeper
from certifier.choose_sigma import SigmaChoice, choose_sigma
from certifier.noise_plan import NoisePlan, Work
from certifier.time_budget import TimeBudget
from contract.choices import NoiseKind, NoiseLevel
from contract.limits import OPTIMIZE_RANGE
from smoothing.noise_level import optimize
from tests.support.tasks import certify_task

Choose = Callable[..., SigmaChoice]


@pytest.fixture
def choose(shipped: LoadedModel, variants: Variants) -> Choose:
    assert shipped.bundle.clean is not None
    image = torch.from_numpy(shipped.bundle.clean[0]).float() / 255

    def chosen(level: NoiseLevel, budget: TimeBudget, alpha: float = 0.001, **fields: Any) -> SigmaChoice:
        about: dict[str, Any] = {"sigma": 0.25, "sigma_grid": [0.12, 0.25], "n0": 10, "seed": "1"}
        question = certify_task(noise_level=level, **about | fields).question
        work = Work(image, shipped, question, variants, Observer(), VoteKeeper(), budget)
        return choose_sigma(NoisePlan(NoiseKind.GAUSSIAN, question.resolved.sigma, alpha, 1), work)

    return chosen


def past() -> TimeBudget:
    """The time is up."""
    return TimeBudget(0.0)


@pytest.mark.parametrize(("alpha", "least"), [(0.001, 50), (1e-16, 54), (1e-50 / 2, 168)])
def test_however_late_trials_have_votes_enough_to_certify(choose: Choose, alpha: float, least: int) -> None:
    """Fewer could not compare the levels, and were an error of our own."""
    level = choose(NoiseLevel.AUTO, past(), alpha)
    assert max(trial.n for trial in level.trials) == least


def test_the_ascent_ends_with_its_share_of_the_time(choose: Choose) -> None:
    """Its votes up to then are told; at least those at the start are made."""
    whole = choose(NoiseLevel.OPTIMIZE, TimeBudget(None))
    late = choose(NoiseLevel.OPTIMIZE, past())
    assert whole.samples == 21 * late.samples
    assert late.sigma == 0.25


def test_the_range_of_optimize_is_that_of_its_defaults() -> None:
    """The API refuses starts by one, and the paper's method has the other."""
    assert (optimize.LOWEST, optimize.HIGHEST) == OPTIMIZE_RANGE


def test_the_least_start_that_is_let_in_is_climbed_from(choose: Choose) -> None:
    """The one multiple of the lattice within reach is where it ends."""
    level = choose(NoiseLevel.OPTIMIZE, TimeBudget(None), sigma=0.0025, adapt=True, clean_size=64)
    assert level.sigma == 0.005
