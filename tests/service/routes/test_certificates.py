"""Certificates over HTTP."""

from collections.abc import Callable

import httpx
import pytest
from redis import Redis

from contract import keys
from contract.certificates import Certificate, Verification

JOB_ID = "ab" * 16


@pytest.fixture
def stored(redis: Redis, certificate: Callable[..., Certificate]) -> Certificate:
    """A certificate that a worker has committed."""
    made = certificate(JOB_ID)
    redis.set(keys.certificate(JOB_ID), made.model_dump_json())
    return made


def test_certificate_is_as_it_was_committed(bare_api: httpx.Client, stored: Certificate) -> None:
    """Byte for byte, and cacheable for ever."""
    response = bare_api.get(f"/certificates/{JOB_ID}")
    assert response.status_code == 200
    assert response.text == stored.model_dump_json()
    assert response.headers["Content-Type"] == "application/json"
    assert "immutable" in response.headers["Cache-Control"]


def test_unchanged_certificate_is_not_sent_again(bare_api: httpx.Client, stored: Certificate) -> None:
    """Its tag is strong."""
    tag = bare_api.get(f"/certificates/{JOB_ID}").headers["ETag"]
    assert tag.startswith('"')
    assert tag.endswith('"')
    for sent in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        response = bare_api.get(f"/certificates/{JOB_ID}", headers={"If-None-Match": sent})
        assert (response.status_code, response.content, response.headers["ETag"]) == (304, b"", tag)
    response = bare_api.get(f"/certificates/{JOB_ID}", headers={"If-None-Match": '"other"'})
    assert response.status_code == 200


@pytest.mark.parametrize("certificate_id", ["f" * 32, "x", "a:b", "%2e%2e"])
@pytest.mark.parametrize(("method", "suffix"), [("GET", ""), ("POST", "/verify")])
def test_unknown_certificate(bare_api: httpx.Client, certificate_id: str, method: str, suffix: str) -> None:
    response = bare_api.request(method, f"/certificates/{certificate_id}{suffix}")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_verification(bare_api: httpx.Client, redis: Redis, stored: Certificate) -> None:
    """A true one passes, a tampered one does not, and the answer says where."""
    path = f"/certificates/{JOB_ID}/verify"
    verification = Verification.model_validate(bare_api.post(path).json())
    assert (verification.valid, verification.certificate_id) == (True, JOB_ID)
    radius = stored.radius.model_copy(update={"l2": stored.radius.l2 + 1e-4})
    tampered = stored.model_copy(update={"radius": radius})
    redis.set(keys.certificate(JOB_ID), tampered.model_dump_json())
    verification = Verification.model_validate(bare_api.post(path).json())
    assert not verification.valid
    assert [check.name for check in verification.checks if not check.passed] == ["radius"]
