"""What a client may ask."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contract.choices import NoiseKind
from contract.limits import minimum_prediction_samples, minimum_samples
from contract.requests import CertifyRequest, PredictRequest
from smoothing import bounds


def faults(**fields: object) -> list[tuple[str, str, str]]:
    """Type, field and words of each error."""
    with pytest.raises(ValidationError) as caught:
        CertifyRequest.model_validate(fields)
    return [(fault["type"], _field(fault), fault["msg"]) for fault in caught.value.errors()]


def _field(fault: Any) -> str:
    """A rule about several fields has no place, and names the one at fault itself."""
    return str(fault["loc"][0] if fault["loc"] else fault["ctx"]["field"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sigma", 0), ("sigma", -0.5), ("sigma", "nan"), ("sigma", "inf"), ("sigma", "x"), ("n", 0), ("n", 1.5),
        ("n0", 0), ("n", 10**9), ("alpha", 0), ("alpha", 0.5), ("alpha", "nan"), ("seed", "xyz"), ("seed", "0" * 33),
        ("memory", "a b"), ("memory", ""), ("memory", "x" * 65), ("memory", "a:b"), ("memory", "a}b"), ("fresh", "perhaps"),
        ("model", ""), ("noise", "laplace"), ("bound", "best"), ("fit", "crop"), ("colour", "red"),
        ("sigma_uniform", 0), ("sigma_grid", []), ("sigma_grid", [0.5, 0]), ("sigma_grid", [0.5] * 65),
        ("sigma_grid", 0.5), ("momentum", 0), ("momentum", 1.1), ("momentum", "nan"), ("clean_size", 1),
        ("target_radius", 0), ("target_radius", "inf"), ("max_seconds", 0), ("max_seconds", 3601),
        ("noise_level", "best"), ("adapt", "perhaps"),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_refused(field: str, value: object) -> None:
    """Each names its field."""
    assert field in {where for _, where, _ in faults(**{field: value})}


def test_too_few_votes_for_alpha_are_refused_with_the_least_number() -> None:
    """Ten equal votes certify at 0.001, nine never."""
    ((kind, where, words),) = faults(n=9)
    assert (kind, where) == ("too_few_samples", "n")
    assert ">= 10" in words
    assert CertifyRequest(n=10).n == 10


def test_each_noise_of_a_hybrid_has_half_the_failure_probability() -> None:
    """So it takes a vote more."""
    ((kind, where, words),) = faults(noise="hybrid", n=10)
    assert (kind, where, ">= 11" in words) == ("too_few_samples", "n", True)
    assert CertifyRequest(noise=NoiseKind.HYBRID, n=11).branch_alpha == 0.0005
    assert CertifyRequest(noise=NoiseKind.UNIFORM, n=10).branch_alpha == 0.001


@pytest.mark.parametrize(
    ("fields", "level"),
    [
        ({}, "auto"),
        ({"sigma": 0.5}, "fixed"),
        ({"noise": "hybrid", "sigma_uniform": 0.5}, "fixed"),
        ({"sigma_grid": [0.5]}, "auto"),
        ({"noise_level": "fixed"}, "fixed"),
        ({"noise_level": "optimize", "sigma": 0.5}, "optimize"),
        ({"noise_level": "auto", "sigma_grid": [0.5]}, "auto"),
    ],
)
def test_the_level_is_fixed_if_one_is_given(fields: dict[str, Any], level: str) -> None:
    """Unless the request says how it is to be chosen."""
    assert CertifyRequest.model_validate(fields).sigma_policy == level


@pytest.mark.parametrize(
    ("fields", "field", "advice"),
    [
        ({"sigma_uniform": 0.5}, "sigma_uniform", "'noise' = gaussian: omit it or ask for hybrid"),
        ({"sigma_uniform": 0.5, "noise": "uniform"}, "sigma_uniform", "'noise' = uniform"),
        ({"adapt": False, "momentum": 0.5}, "momentum", "'adapt' = false"),
        ({"adapt": False, "clean_size": 9}, "clean_size", "'adapt' = false"),
        (
            {"noise_level": "auto", "sigma": 0.5},
            "sigma",
            "'noise_level' = auto: omit it or ask for fixed",
        ),
        ({"sigma": 0.5, "sigma_grid": [0.5]}, "sigma", "'noise_level' = auto"),
        ({"noise": "hybrid", "noise_level": "auto", "sigma_uniform": 0.5}, "sigma_uniform", "= auto"),
        ({"noise_level": "fixed", "sigma_grid": [0.5]}, "sigma_grid", "'noise_level' = fixed"),
        ({"noise_level": "optimize", "sigma_grid": [0.5]}, "sigma_grid", "'noise_level' = optimize"),
        ({"memory": "off", "fresh": True}, "fresh", "'memory' = off: omit it or name a memory"),
        ({"sigma": 0.5, "fresh": True}, "fresh", "'memory' = off: omit it or name a memory"),
    ],
)
def test_a_field_that_would_do_nothing_is_refused(fields: dict[str, Any], field: str, advice: str) -> None:
    """It names both fields, both values, and what to do instead."""
    ((kind, where, words),) = faults(**fields)
    assert (kind, where) == ("pointless", field)
    value = "true" if fields[field] is True else fields[field]
    assert words.startswith(f"'{field}' = {value} has no meaning with ")
    assert advice in words


def test_a_prediction_needs_one_vote_more() -> None:
    """Its test has two sides."""
    assert PredictRequest(n=11).n == 11
    with pytest.raises(ValidationError, match=">= 11"):
        PredictRequest(n=10)


@given(st.floats(min_value=1e-12, max_value=0.499))
def test_the_least_number_of_votes_is_the_least(alpha: float) -> None:
    """With it, perfect votes bound the probability above one half; with one fewer they do not."""
    n = minimum_samples(alpha)
    assert alpha ** (1 / n) > 0.5
    assert n == 1 or alpha ** (1 / (n - 1)) <= 0.5 * (1 + 2e-12)


def test_the_least_number_of_votes_is_that_of_the_workers() -> None:
    """Also within rounding of a power of one half, where one of two rules could let in what the other refuses."""
    for exponent in range(2, 166):
        for away in (0.0, 1e-15, -1e-15, 1e-13, 1e-12, 3e-12, -1e-12, 1e-10, 1e-9):
            alpha = 2.0**-exponent * (1 + away)
            assert minimum_samples(alpha) == bounds.minimum_samples(alpha)


def test_an_alpha_that_nothing_could_be_computed_at_is_refused() -> None:
    """By its own name; whatever else is asked."""
    for fields in ({}, {"n": 500}, {"noise": "hybrid"}, {"noise": "hybrid", "n": 500}):
        for alpha in (5e-324, 1e-300, 9e-51):
            assert faults(alpha=alpha, **fields)[0][:2] == ("greater_than_equal", "alpha")
            with pytest.raises(ValidationError, match="alpha"):
                PredictRequest(alpha=alpha)
    assert CertifyRequest(alpha=1e-50, n=200).alpha == 1e-50


@given(st.floats(min_value=1e-12, max_value=0.499))
def test_the_least_number_of_votes_of_a_prediction_is_the_least(alpha: float) -> None:
    """The p-value of so many equal votes is small enough; of one fewer it is not."""
    n = minimum_prediction_samples(alpha)
    assert 2.0 ** (1 - n) <= alpha
    assert 2.0 ** (2 - n) > alpha


def test_the_defaults_are_valid() -> None:
    """A request with an image alone can be answered."""
    request = CertifyRequest()
    assert (request.n0, request.alpha, request.bound) == (100, 0.001, "two_sided")
    assert (request.noise, request.sigma_policy, request.adapt) == ("gaussian", "auto", None)


@pytest.mark.parametrize(
    ("fields", "namespace"),
    [
        ({}, "default"),
        ({"sigma_grid": [0.5]}, "default"),
        ({"noise_level": "auto"}, "default"),
        ({"noise_level": "optimize"}, "default"),
        ({"noise_level": "optimize", "sigma": 0.5}, "default"),
        ({"sigma": 0.5}, None),
        ({"noise_level": "fixed"}, None),
        ({"noise": "hybrid", "sigma_uniform": 0.5}, None),
        ({"sigma": 0.5, "memory": "default"}, "default"),
        ({"sigma": 0.5, "memory": "mine_2-x"}, "mine_2-x"),
        ({"memory": "mine"}, "mine"),
        ({"memory": "off"}, None),
        ({"memory": "OFF"}, "OFF"),
    ],
)
def test_levels_chosen_per_image_are_remembered(fields: dict[str, Any], namespace: str | None) -> None:
    """They make one classifier by the memory alone; a fixed level is one without it."""
    assert CertifyRequest.model_validate(fields).namespace == namespace


@pytest.mark.parametrize(
    ("fields", "namespace"),
    [
        ({}, "default"),
        ({"sigma": 0.5}, None),
        ({"noise": "hybrid", "sigma_uniform": 0.5}, None),
        ({"sigma": 0.5, "memory": "mine"}, "mine"),
        ({"memory": "off"}, None),
    ],
)
def test_a_prediction_asks_the_memory_that_certifies(fields: dict[str, Any], namespace: str | None) -> None:
    """The same one for the same fields: what was certified is answered."""
    assert PredictRequest.model_validate(fields).namespace == namespace
    assert CertifyRequest.model_validate(fields).namespace == namespace


def test_fresh_samples_may_be_asked_of_any_memory() -> None:
    """By a certification; a prediction has no such field, for its answer is the memory's in any case."""
    assert CertifyRequest(fresh=True).fresh
    assert CertifyRequest(fresh=True, memory="mine").namespace == "mine"
    assert not CertifyRequest().fresh
    with pytest.raises(ValidationError, match="fresh"):
        PredictRequest.model_validate({"fresh": True})
