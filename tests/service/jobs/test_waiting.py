"""Following a job by server-sent events, and how many may wait."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from redis import Redis

from contract import keys
from contract.certificates import Certificate
from contract.choices import Stage
from contract.jobs import Job, Progress
from service.app import create_app
from service.settings import ServiceSettings
from tests.support.streams import Event, blocked, ended, stream
from tests.support.waiting import until

Submit = Callable[..., str]
Write = Callable[..., str]


def finish(redis: Redis, certificate: Certificate) -> None:
    """Commits as a worker does: the certificate and the last event at once."""
    done = Progress(stage=Stage.DONE, completed=2, total=2).model_dump_json()
    with redis.pipeline(transaction=True) as pipeline:
        pipeline.set(keys.certificate(certificate.id), certificate.model_dump_json())
        pipeline.xadd(keys.events(certificate.id), {"progress": done})
        pipeline.execute()


def test_events_then_the_job(
    api: httpx.Client, redis: Redis, submit: Submit, progress: Write, certificate: Any
) -> None:
    """Live, in order, and the stream closes after the job."""
    job_id = submit()
    with stream(api, job_id) as events:
        assert Progress.model_validate_json(next(events)["data"]).stage == "queued"
        written = progress(job_id, stage="sampling", completed=1, total=2)
        event = next(events)
        assert (event["event"], event["id"]) == ("progress", written)
        finish(redis, certificate(job_id))
        assert Progress.model_validate_json(next(events)["data"]).stage == "done"
        last = next(events)
        assert last["event"] == "job"
        assert Job.model_validate_json(last["data"]).certificate == certificate(job_id).model_copy(
            update={"created_at": Job.model_validate_json(last["data"]).finished_at}
        )
        assert list(events) == []


def test_resume_has_no_gap_and_no_duplicate(
    api: httpx.Client, redis: Redis, submit: Submit, progress: Write, certificate: Any
) -> None:
    """A client that lost the connection after any event gets exactly the others."""
    job_id = submit()
    for completed in range(5):
        progress(job_id, stage="sampling", completed=completed, total=5)
    finish(redis, certificate(job_id))
    with stream(api, job_id) as events:
        whole = list(events)
    assert [event["event"] for event in whole] == ["progress"] * 7 + ["job"]
    for index, event in enumerate(whole[:-1]):
        with stream(api, job_id, after=event["id"]) as rest:
            assert list(rest) == whole[index + 1 :]


@pytest.mark.parametrize("last", ["x", "1", "1-", "-1-1", "1-1-1", "$", "99999999999999999999-0", "１-0", ""])
def test_malformed_event_id(api: httpx.Client, submit: Submit, last: str) -> None:
    path = f"/jobs/{submit()}/events"
    response = api.get(path, headers=[(b"Last-Event-ID", last.encode())])
    assert (response.status_code, response.json()["code"]) == (422, "invalid_field")
    assert response.json()["errors"][0]["pointer"] == "/Last-Event-ID"


def test_end_without_an_event_is_noticed(api: httpx.Client, redis: Redis, submit: Submit) -> None:
    """The worker was killed, or the job cancelled."""
    job_id = submit()
    with stream(api, job_id) as events:
        next(events)
        api.delete(f"/jobs/{job_id}")
        assert next(events)["event"] == "job"


def test_job_that_is_forgotten_ends_its_stream(api: httpx.Client, redis: Redis, submit: Submit) -> None:
    """With the problem that a request for it would be answered with."""
    with stream(api, submit()) as events:
        next(events)
        redis.flushall()
        last = next(events)
        assert (last["event"], json.loads(last["data"])["code"]) == ("error", "not_found")
        assert list(events) == []


def test_gone_client_frees_its_connection(api: httpx.Client, redis: Redis, submit: Submit) -> None:
    """Nobody reads any more, so nothing blocks on Redis."""
    job_id = submit()
    with stream(api, job_id) as events:
        next(events)
        until(lambda: blocked(redis) == 1)
    until(lambda: blocked(redis) == 0)


def test_gone_client_frees_its_long_poll(api: httpx.Client, redis: Redis, submit: Submit) -> None:
    """The request ends then, not when its time is up: after 30 s this test would have failed."""
    job_id = submit()
    before = ended(api)
    with pytest.raises(httpx.ReadTimeout):
        api.get(f"/jobs/{job_id}", params={"wait": 30}, timeout=0.2)
    until(lambda: ended(api) == before + 1)
    assert blocked(redis) == 0


@pytest.fixture
def one_stream(redis_url: str, beat: Callable[..., None], serve_app: Any) -> Iterator[httpx.Client]:
    """An API in which one stream may be open."""
    beat()
    settings = ServiceSettings(redis_url=redis_url, max_streams=1)
    with serve_app(create_app(settings)) as url, httpx.Client(base_url=url) as client:
        yield client


def post(client: httpx.Client, png: bytes) -> str:
    response = client.post("/certify", files={"image": ("image", png)}, data={"model": "toy"})
    job_id: str = response.json()["id"]
    return job_id


def test_streams_are_bounded(one_stream: httpx.Client, png: bytes) -> None:
    """The next is told to come back; a place is free when its client has left."""
    job_id = post(one_stream, png)
    with stream(one_stream, job_id) as events:
        next(events)
        refused = one_stream.get(f"/jobs/{job_id}/events")
        assert (refused.status_code, refused.json()["code"]) == (503, "too_many_streams")
        assert int(refused.headers["Retry-After"]) > 0
    until(lambda: opens(one_stream, job_id))


def test_refused_stream_takes_no_place(one_stream: httpx.Client, png: bytes) -> None:
    job_id = post(one_stream, png)
    for _ in range(3):
        assert one_stream.get(f"/jobs/{'a' * 32}/events").status_code == 404
        bad = {"Last-Event-ID": "x"}
        assert one_stream.get(f"/jobs/{job_id}/events", headers=bad).status_code == 422
    assert opens(one_stream, job_id)


def opens(client: httpx.Client, job_id: str) -> bool:
    with client.stream("GET", f"/jobs/{job_id}/events") as response:
        return response.status_code == 200


def test_stream_ends_and_is_resumed(
    redis_url: str, api: httpx.Client, submit: Submit, serve_app: Any, progress: Write
) -> None:
    """None is for ever; the client asks again from where it was, and misses nothing."""
    job_id = submit()
    settings = ServiceSettings(redis_url=redis_url, stream_seconds=0.2)
    with (
        serve_app(create_app(settings)) as url,
        httpx.Client(base_url=url) as short,
        stream(short, job_id) as events,
    ):
        (first,) = list(events)
    written = progress(job_id, stage="sampling", completed=1, total=2)
    with stream(api, job_id, after=first["id"]) as events:
        assert next(events)["id"] == written


def test_clients_that_leave_leak_no_connection(api: httpx.Client, redis: Redis, submit: Submit) -> None:
    """Many streams and long polls, given up: Redis has as many clients as one round of them needs."""
    job_id = submit()

    def leave(_: int) -> None:
        with stream(api, job_id) as events:
            next(events)
        with pytest.raises(httpx.ReadTimeout):
            api.get(f"/jobs/{job_id}", params={"wait": 30}, timeout=0.1)

    def round_of_them() -> int:
        before = ended(api)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(leave, range(16)))
        until(lambda: ended(api) == before + 32)
        return int(redis.info("clients")["connected_clients"])

    needed = round_of_them()
    assert [round_of_them() for _ in range(2)][-1] <= needed + 12  # a leak would be 32 for each round
    assert api.get(f"/jobs/{job_id}").json()["id"] == job_id


def test_waiters_are_bounded(
    redis_url: str, redis: Redis, beat: Callable[..., None], png: bytes, serve_app: Any
) -> None:
    """One may wait here; the next is answered at once, and says that it did not wait."""
    beat()
    settings = ServiceSettings(redis_url=redis_url, max_waiters=1)
    with serve_app(create_app(settings)) as url, httpx.Client(base_url=url) as client:

        def post(wait: int) -> httpx.Response:
            return client.post(
                "/certify",
                files={"image": ("image", png)},
                data={"model": "toy"},
                headers={"Prefer": f"wait={wait}"},
            )

        with ThreadPoolExecutor() as pool:
            first = pool.submit(post, 30)
            until(lambda: blocked(redis) == 1)
            second = post(30)
            assert second.status_code == 202
            assert "Preference-Applied" not in second.headers
            assert not first.done()
            for job in redis.lrange("rq:queue:radii", 0, -1):
                client.delete(f"/jobs/{job.decode()}")
            assert first.result().headers["Preference-Applied"] == "wait=30"


def test_many_followers_of_one_job(
    api: httpx.Client, redis: Redis, submit: Submit, progress: Write, certificate: Any
) -> None:
    """Each gets every event."""
    job_id = submit()
    started = threading.Barrier(9)

    def follow(_: int) -> list[Event]:
        with stream(api, job_id) as events:
            first = next(events)
            started.wait()
            return [first, *events]

    with ThreadPoolExecutor(8) as pool:
        followers = [pool.submit(follow, index) for index in range(8)]
        started.wait()
        for completed in range(3):
            progress(job_id, stage="sampling", completed=completed, total=3)
        finish(redis, certificate(job_id))
        assert {len(follower.result()) for follower in followers} == {6}
