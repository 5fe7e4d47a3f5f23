"""What travels on the queue, and which tasks ask the same."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.requests import CertifyJsonRequest, CertifyRequest
from contract.tasks import CertifyTask, Resolved, make_task
from tests.support.tasks import certify_task


def task(**fields: Any) -> CertifyTask:
    """One certification with every field filled in."""
    defaults: dict[str, Any] = {
        "noise_level": "auto", "sigma_grid": [0.25, 0.5], "adapt": True, "clean_size": 512, "memory": "default"
    }  # fmt: skip
    return certify_task(**defaults | fields)


ABOUT_THIS_JOB: dict[str, Any] = {
    "version": 99,
    "job_id": "2" * 32,
    "image_digest": "c" * 64,
    "upload_digest": "c" * 64,
    "label": 3,
    "memory": "mine",
    "seed": "f" * 32,
    "fresh": True,
    "fit": "resize",
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
    assert task(**{field: ABOUT_THIS_JOB[field]}).question_digest == task().question_digest


@pytest.mark.parametrize("field", ASKED)
def test_other_fields_make_another_question(field: str) -> None:
    """Its answer would be another certificate."""
    assert task(**{field: ASKED[field]}).question_digest != task().question_digest


def test_every_field_is_one_or_the_other() -> None:
    """A new field has to be thought of."""
    fields = CertifyTask.model_fields.keys() - {"question"} | Resolved.model_fields.keys()
    assert ABOUT_THIS_JOB.keys() | ASKED.keys() == fields | CertifyRequest.model_fields.keys()
    assert not ABOUT_THIS_JOB.keys() & ASKED.keys()


@given(st.floats(min_value=1e-9, max_value=100), st.integers(1, 10**7))
def test_a_question_survives_the_queue(sigma: float, n: int) -> None:
    """Written as JSON and read again, it is the same."""
    asked = task(sigma=sigma, n=n)
    assert CertifyTask.model_validate_json(asked.model_dump_json()).question_digest == asked.question_digest
    assert CertifyTask.model_validate(asked.model_dump(mode="json")).question_digest == asked.question_digest


def test_a_field_at_its_default_asks_the_same_as_one_that_was_omitted() -> None:
    """So a release that adds a field changes no question that does not use it."""
    assert task(n0=100, target_radius=None).question_digest == task().question_digest


def test_the_task_has_the_fields_of_a_request_and_not_its_image() -> None:
    """Pixels travel under their digest."""
    sent = CertifyJsonRequest.model_validate({"image": "aW1hZ2U=", "sigma": 0.5, "n0": 7})
    about = task().model_dump(include={"job_id", "model", "model_digest", "image_digest", "upload_digest"})
    made = make_task(sent, task().question.resolved, **about)
    assert made.question.asked == CertifyRequest(sigma=0.5, n0=7)
    assert "aW1h" not in made.model_dump_json()
