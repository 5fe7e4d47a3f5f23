"""What travels on the queue, and which tasks ask the same."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.tasks import CertifyTask


def task(**fields: Any) -> CertifyTask:
    """One certification with every field filled in."""
    defaults: dict[str, Any] = {
        "job_id": "1" * 32, "model": "toy", "model_digest": "d" * 64, "image_digest": "a" * 64,
        "upload_digest": "b" * 64, "noise": "gaussian", "sigma": 0.5, "sigma_uniform": 0.5, "adapt": True,
        "momentum": 1.0, "clean_size": 512, "n": 10_000, "alpha": 0.001, "label": None, "memory": "default",
        "seed": "0" * 32, "noise_level": "auto", "sigma_grid": [0.25, 0.5], "n0": 100, "bound": "two_sided",
        "target_radius": None, "max_seconds": None, "fresh": False,
    }  # fmt: skip
    return CertifyTask.model_validate(defaults | fields)


ABOUT_THIS_JOB: dict[str, Any] = {
    "version": 99,
    "job_id": "2" * 32,
    "image_digest": "c" * 64,
    "upload_digest": "c" * 64,
    "label": 3,
    "memory": "mine",
    "seed": "f" * 32,
    "fresh": True,
    "request_id": "of-another-request",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
ASKED: dict[str, Any] = {
    "model": "other",
    "model_digest": "e" * 64,
    "noise": "uniform",
    "sigma": 0.25,
    "sigma_uniform": 0.25,
    "adapt": False,
    "momentum": 0.5,
    "clean_size": 64,
    "n": 10_001,
    "alpha": 0.0010000000000000002,
    "noise_level": "optimize",
    "sigma_grid": [0.25],
    "n0": 101,
    "bound": "one_sided",
    "target_radius": 0.5,
    "max_seconds": 1.0,
}


@pytest.mark.parametrize("field", ABOUT_THIS_JOB)
def test_another_job_may_ask_the_same(field: str) -> None:
    """Who asks, about which image, with which seed, and whether he knows the answer."""
    assert task(**{field: ABOUT_THIS_JOB[field]}).question == task().question


@pytest.mark.parametrize("field", ASKED)
def test_other_fields_make_another_question(field: str) -> None:
    """Its answer would be another certificate."""
    assert task(**{field: ASKED[field]}).question != task().question


def test_every_field_is_one_or_the_other() -> None:
    """A new field has to be thought of."""
    assert ABOUT_THIS_JOB.keys() | ASKED.keys() == set(CertifyTask.model_fields)
    assert not ABOUT_THIS_JOB.keys() & ASKED.keys()


@given(st.floats(min_value=1e-9, max_value=100), st.integers(1, 10**7))
def test_a_question_survives_the_queue(sigma: float, n: int) -> None:
    """Written as JSON and read again, it is the same."""
    asked = task(sigma=sigma, n=n)
    assert CertifyTask.model_validate_json(asked.model_dump_json()).question == asked.question
    assert CertifyTask.model_validate(asked.model_dump(mode="json")).question == asked.question
