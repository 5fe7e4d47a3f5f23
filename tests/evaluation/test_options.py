"""Options are the fields of the plan, and make one."""

import pytest

from contract.requests import CertifyRequest
from evaluation.errors import EvaluationError
from evaluation.options import EXECUTION, OPTIONS, EvaluationOptions, command_of, field_of, plan_from
from evaluation.plan import CertifyPlan, EvaluationPlan, LevelPlan, SuiteName

BUNDLES = {"one": "1" * 64}


def test_every_option_is_a_field_of_the_plan() -> None:
    """With a description, which is its help."""
    for name, option in OPTIONS.items():
        assert option.help or field_of(option).description, name
    assert set(EvaluationOptions.model_fields) == {*OPTIONS, *EXECUTION}


def test_fields_of_a_request_are_options_unless_the_evaluation_decides_them() -> None:
    """So that a new field needs no change here."""
    decided = {"model", "fit", "memory", "label", "seed", "fresh", "target_radius", "max_seconds"}
    assert set(CertifyRequest.model_fields) - decided <= set(OPTIONS)


def test_no_option_makes_the_plan_of_the_defaults() -> None:
    assert plan_from(BUNDLES, {}) == EvaluationPlan(bundles=BUNDLES, suites=(SuiteName.CERTIFY,))


def test_options_reach_their_fields() -> None:
    """Lists from texts with commas or from lists; numbers and choices from texts, as a command line has them."""
    plan = plan_from(
        BUNDLES,
        {
            "suite": ["noise", "certify", "attacks"],
            "sigma": "0.25, 0.5",
            "adapt": ["both"],
            "n": "1000",
            "noise": "hybrid",
            "skip": 7,
            "noise_sigmas": ["0.1"],
            "attack_steps": "3",
        },
    )
    assert plan.suites == ("certify", "noise", "attacks")  # in the order of measuring
    assert (plan.certify.sigmas, plan.certify.adapt) == ((0.25, 0.5), (False, True))
    assert (plan.certify.asked.n, plan.certify.asked.noise.value) == (1000, "hybrid")
    assert (plan.every, plan.noise.sigmas, plan.attacks.steps) == (7, (0.1,), 3)
    assert plan_from(BUNDLES, {"suite": "all"}).suites == tuple(SuiteName)


def test_the_level_is_fixed_unless_a_grid_is_given() -> None:
    assert plan_from(BUNDLES, {}).certify.asked.noise_level == "fixed"
    assert plan_from(BUNDLES, {"sigma_grid": "0.1,0.3"}).certify.asked.noise_level == "auto"


def test_the_sweep_over_steps_takes_level_votes_and_alpha() -> None:
    """Where it is asked for; elsewhere its part of the plan stays as it was."""
    asked = {"sigma": "0.25", "n": "5000", "alpha": "0.01"}
    levels = plan_from(BUNDLES, {**asked, "suite": "levels"}).levels
    assert (levels.sigma, levels.n, levels.alpha) == (0.25, 5000, 0.01)
    assert plan_from(BUNDLES, asked).levels == LevelPlan()
    assert plan_from(BUNDLES, {"suite": "levels"}).levels == LevelPlan()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"suite": "nonsense"}, "'suite' Input should be 'certify', 'noise'"),
        (
            {"suite": "noise", "n0": 100},
            "'n0' must be omitted unless --suite has certify or bounds, got '100'",
        ),
        ({"skip": 0}, "'skip' Input should be greater than 0, got 0"),
        ({"sigma": ""}, "'sigma' must hold a value, or several with commas between, got ''"),
        ({"sigma": "a"}, "'sigma' Input should be a valid number"),
        ({"n": 5}, "'n' must be >= 10 for 'alpha' = 0.001, got 5"),
        (
            {"suite": "levels", "sigma": "0.1,0.2"},
            "'sigma' must be one number for the suite levels, got '0.1,0.2'",
        ),
    ],
)
def test_a_refusal_names_the_option(given: dict[str, object], words: str) -> None:
    with pytest.raises(EvaluationError) as refused:
        plan_from(BUNDLES, given)
    assert words in str(refused.value)


def test_a_command_repeats_the_options() -> None:
    given = {"suite": ["bounds"], "sigma": ["0.5", "1"], "n": 100}
    told = command_of(["one"], given, [SuiteName.NOISE, SuiteName.BOUNDS])
    assert told == "radii evaluate one --suite noise --suite bounds --sigma 0.5,1 --n 100 --out FOLDER"


def test_a_plan_of_an_earlier_version_is_read() -> None:
    """Its request's fields stood beside those of the tables."""
    earlier = {"noise": "uniform", "noise_level": "auto", "sigmas": [None], "sigma_grid": [0.1], "n": 500}
    plan = CertifyPlan.model_validate({**earlier, "adapt": [True], "radii": [0.0], "momentum": None})
    assert (plan.asked.noise.value, plan.asked.noise_level, plan.asked.n) == ("uniform", "auto", 500)
    assert (plan.adapt, plan.radii) == ((True,), (0.0,))
    assert CertifyPlan.model_validate(plan.model_dump(mode="json")) == plan
