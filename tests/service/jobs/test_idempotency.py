"""`Idempotency-Key`: a request that is sent again makes no second job."""

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from redis import Redis

from contract import keys, limits
from contract.requests import CertifyRequest
from service.edge.callers import Caller, KeyScope
from service.jobs.idempotency import Idempotency, make_idempotency
from service.jobs.queue import read_sizes

Post = Callable[..., httpx.Response]


@pytest.fixture(params=["certify", "certify/json", "predict", "predict/json"])
def post(request: pytest.FixtureRequest, api: httpx.Client, png: bytes) -> Post:
    """Posts to each of the submitting routes."""
    path = f"/{request.param}"

    def send(key: str | None = "order-66", image: bytes = png, **fields: Any) -> httpx.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        fields = {"model": "toy", **fields}
        if path.endswith("json"):
            body = {"image": base64.b64encode(image).decode(), **fields}
            return api.post(path, json=body, headers=headers)
        return api.post(path, files={"image": ("image", image)}, data=fields, headers=headers)

    return send


def test_same_request_is_the_same_job(post: Post, redis: Redis) -> None:
    """And says that it is a replay; without a key it is another job."""
    first, second, third = post(), post(), post(key=None)
    assert [response.status_code for response in (first, second, third)] == [202] * 3
    assert first.json()["id"] == second.json()["id"] != third.json()["id"]
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.headers["Location"] == first.headers["Location"]
    assert read_sizes(redis).waiting == 2


def test_key_of_another_request_is_refused(post: Post, picture: Callable[..., bytes], redis: Redis) -> None:
    """Other fields, or another image; a default that is sent is not one that is left out."""
    post()
    for response in (post(sigma=0.25), post(image=picture(colour=8)), post(alpha=0.001)):
        problem = response.json()
        assert (response.status_code, problem["code"]) == (422, "idempotency_key_reused")
        assert problem["errors"][0]["pointer"] == "/Idempotency-Key"
    assert read_sizes(redis).waiting == 1


def test_refused_request_uses_up_no_key(post: Post) -> None:
    """It is put right and sent again."""
    assert post(sigma=-1).status_code == 422
    assert post(label="cat").status_code == 422
    assert post(image=b"no image").status_code == 415
    response = post()
    assert response.status_code == 202
    assert "Idempotency-Replayed" not in response.headers


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é", "a\tb"])
def test_malformed_key(api: httpx.Client, png: bytes, key: str) -> None:
    response = api.post(
        "/certify", files={"image": ("image", png)}, headers=[(b"Idempotency-Key", key.encode())]
    )
    assert (response.status_code, response.json()["code"]) == (422, "invalid_field")
    assert response.json()["errors"][0]["pointer"] == "/Idempotency-Key"
    assert "1 to 255 visible ASCII characters" in response.json()["detail"]


def test_two_keys(api: httpx.Client, png: bytes) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    response = api.post("/certify", files={"image": ("image", png)}, headers=headers)
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/Idempotency-Key")


def test_longest_key(api: httpx.Client, png: bytes) -> None:
    files, fields = {"image": ("image", png)}, {"model": "toy"}
    response = api.post("/certify", files=files, data=fields, headers={"Idempotency-Key": "~" * 255})
    assert response.status_code == 202


def test_many_at_once_make_one_job(api: httpx.Client, redis: Redis, png: bytes) -> None:
    """Fifty connections, one key."""

    async def send_all() -> list[httpx.Response]:
        limits_ = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(base_url=api.base_url, timeout=60, limits=limits_) as client:
            headers = {"Idempotency-Key": "one"}
            return await asyncio.gather(
                *(
                    client.post(
                        "/certify", files={"image": ("image", png)}, data={"model": "toy"}, headers=headers
                    )
                    for _ in range(50)
                )
            )

    responses = asyncio.run(send_all())
    assert {response.status_code for response in responses} == {202}
    assert len({response.json()["id"] for response in responses}) == 1
    assert sum("Idempotency-Replayed" in response.headers for response in responses) == 49
    assert read_sizes(redis).waiting == 1
    assert len(redis.keys("rq:job:*")) == 1
    assert len(redis.keys("radii:job:*:submission")) == 1


def test_replay_needs_neither_place_nor_worker(post: Post, redis: Redis) -> None:
    """The job is there, whatever has become of the engines."""
    job_id = post().json()["id"]
    redis.delete(keys.ENGINES)
    response = post()
    assert (response.status_code, response.json()["id"]) == (202, job_id)


def test_replay_tells_what_became_of_the_job(post: Post, api: httpx.Client, redis: Redis) -> None:
    """Cancelled, or expired: final, so 200, and never run again behind the client's back."""
    job_id = post().json()["id"]
    api.delete(f"/jobs/{job_id}")
    response = post()
    assert (response.status_code, response.json()["status"]) == (200, "cancelled")
    expired = post(key="other").json()["id"]
    redis.delete(f"rq:job:{expired}")
    response = post(key="other")
    assert (response.status_code, response.json()["status"]) == (200, "expired")
    assert response.headers["Idempotency-Replayed"] == "true"


def test_key_of_a_forgotten_job_is_free(post: Post, redis: Redis) -> None:
    """No answer could be given to it any more."""
    job_id = post().json()["id"]
    redis.delete(keys.submission(job_id))
    response = post()
    assert response.status_code == 202
    assert response.json()["id"] != job_id
    assert "Idempotency-Replayed" not in response.headers
    assert post().json()["id"] == response.json()["id"]


def test_routes_do_not_share_keys(api: httpx.Client, png: bytes) -> None:
    answers = [
        api.post(
            path, files={"image": ("image", png)}, data={"model": "toy"}, headers={"Idempotency-Key": "k"}
        )
        for path in ("/certify", "/predict")
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert len({answer.json()["id"] for answer in answers}) == 2


def test_tenants_do_not_share_keys() -> None:
    def made(tenant: str, key: str = "k") -> Idempotency:
        caller = Caller("somebody", tenant, frozenset(KeyScope))
        found = make_idempotency(key, caller, "/certify", CertifyRequest(), b"image")
        assert found is not None
        return found

    assert made("a").redis_key != made("b").redis_key
    assert made("a").redis_key == made("a").redis_key
    assert made("a").fingerprint == made("b").fingerprint


def test_key_is_kept_for_a_day_with_its_job(post: Post, redis: Redis) -> None:
    """Key and job are written in one step, so no key can stand for a job that was never enqueued."""
    job_id = post().json()["id"]
    (key,) = redis.keys("radii:idempotency:*")
    value: Any = redis.get(key)
    assert value.decode().startswith(f"{job_id}:")
    assert limits.IDEMPOTENCY_TTL - 60 < redis.ttl(key) <= limits.IDEMPOTENCY_TTL < limits.SUBMISSION_TTL
    assert redis.exists(f"rq:job:{job_id}")
