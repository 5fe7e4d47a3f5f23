"""How many jobs may wait, and what a client is told for whom there is no place."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from rq.job import Job as QueuedJob
from rq.registry import FinishedJobRegistry
from rq.serializers import JSONSerializer

from contract import keys
from contract.jobs import Submission
from contract.limits import RESULT_TTL
from contract.models import ModelInfo
from contract.tasks import CertifyTask
from service.app import create_app
from service.jobs.admission import Terms
from service.jobs.queue import enqueue, mean_job_seconds, read_sizes
from service.settings import Auth, ServiceSettings
from tests.service.keyring import make_keys

Start = Callable[..., contextlib.AbstractContextManager[httpx.Client]]
FIELDS = {"model": "toy"}


@pytest.fixture
def served(redis_url: str, beat: Callable[..., None], serve_app: Any) -> Start:
    """An API with settings of a test's own, and an engine."""
    beat()

    @contextlib.contextmanager
    def start(**settings: Any) -> Iterator[httpx.Client]:
        app = create_app(ServiceSettings(redis_url=redis_url, **{"catalogue_seconds": 0, **settings}))
        with serve_app(app) as url, httpx.Client(base_url=url, timeout=30) as client:
            yield client

    return start


def post(client: httpx.Client, png: bytes, **fields: Any) -> httpx.Response:
    return client.post("/certify", files={"image": ("image", png)}, data={**FIELDS, **fields})


def finished(redis: Redis, job_id: str, seconds: float, ago: int = 0) -> None:
    """What RQ leaves of a job that took so long."""
    now = datetime.now(UTC)
    job = QueuedJob.fetch(job_id, connection=redis, serializer=JSONSerializer)
    job.started_at, job.ended_at = now - timedelta(seconds=seconds), now
    job.save()
    with redis.pipeline() as pipeline:
        FinishedJobRegistry(keys.QUEUE, connection=redis).add(job, ttl=RESULT_TTL - ago, pipeline=pipeline)
        pipeline.lrem(f"rq:queue:{keys.QUEUE}", 0, job_id)
        pipeline.execute()


def test_full_queue_says_when_to_come_back(
    served: Start, redis: Redis, beat: Callable[..., None], png: bytes
) -> None:
    """Three jobs of 20 s each, on two engines: half a minute. A place that is free is given away at once."""
    beat(engine_id="engine-2")
    with served(max_queued=3) as client:
        first = post(client, png).json()["id"]
        finished(redis, first, 20)
        waiting = [post(client, png).json()["id"] for _ in range(3)]
        response = post(client, png)
        assert (response.status_code, response.json()["code"]) == (503, "queue_full")
        assert response.headers["Retry-After"] == "30"
        assert "at most 3 jobs may wait, and 3 do" in response.json()["detail"]
        assert client.delete(f"/jobs/{waiting[0]}").json()["status"] == "cancelled"
        assert post(client, png).status_code == 202


def test_refused_job_leaves_nothing_behind(served: Start, redis: Redis, png: bytes) -> None:
    with served(max_queued=1) as client:
        post(client, png)
        before = redis.dbsize()
        assert post(client, png).status_code == 503
        assert redis.dbsize() == before


def test_mean_is_of_the_last_jobs(redis: Redis, served: Start, png: bytes) -> None:
    """Nothing has finished: a guess. Then what RQ knows of the last twenty."""
    assert mean_job_seconds(redis) == 5
    with served() as client:
        finished(redis, post(client, png).json()["id"], 1000, ago=60)
        for _ in range(20):
            finished(redis, post(client, png).json()["id"], 2)
    assert mean_job_seconds(redis) == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize("places", [1, 10])
def test_parallel_submissions_do_not_overshoot(served: Start, redis: Redis, png: bytes, places: int) -> None:
    """A hundred at once for the last places: exactly so many get one."""
    with served(max_queued=20) as client:
        for _ in range(20 - places):
            post(client, png)

        async def flood() -> list[int]:
            limits = httpx.Limits(max_connections=100)
            async with httpx.AsyncClient(base_url=client.base_url, timeout=60, limits=limits) as many:
                send = [
                    many.post("/certify", files={"image": ("image", png)}, data=FIELDS) for _ in range(100)
                ]
                return [response.status_code for response in await asyncio.gather(*send)]

        statuses = asyncio.run(flood())
    assert (statuses.count(202), statuses.count(503)) == (places, 100 - places)
    assert read_sizes(redis).waiting == 20


def test_callers_own_cap(served: Start, redis: Redis, png: bytes, work: Callable[..., None]) -> None:
    """Jobs that run, ended or were cancelled count no more."""
    with served(max_queued_per_caller=2) as client:
        jobs = [post(client, png).json()["id"] for _ in range(2)]
        response = post(client, png)
        assert (response.status_code, response.json()["code"]) == (429, "too_many_queued")
        assert int(response.headers["Retry-After"]) > 0
        client.delete(f"/jobs/{jobs[0]}")
        assert post(client, png).status_code == 202
        assert post(client, png).status_code == 429
        work(lambda task: None)
        assert [post(client, png).status_code for _ in range(3)] == [202, 202, 429]


def test_callers_are_told_apart(served: Start, png: bytes, tmp_path: Path) -> None:
    """By their keys."""
    file = tmp_path / "keys.json"
    one, other = make_keys(file, "one", "other")
    with served(max_queued_per_caller=1, auth=Auth.KEYS, api_keys_file=file) as client:
        for key, status in ((one, 202), (one, 429), (other, 202)):
            client.headers["X-API-Key"] = key
            assert post(client, png).status_code == status


def test_submission_that_is_sent_again_is_enqueued_once(redis: Redis, served: Start, png: bytes) -> None:
    """A client of Redis repeats a command whose answer was lost; the script knows the job by its id."""
    with served() as client:
        job_id = post(client, png).json()["id"]
    task = CertifyTask.model_validate(
        QueuedJob.fetch(job_id, connection=redis, serializer=JSONSerializer).args[0]
    )
    stored: Any = redis.get(keys.submission(job_id))
    submission = Submission.model_validate_json(stored)
    enqueue(redis, submission, task, b"", Terms("address:x", 1, None, None))
    assert redis.lrange("rq:queue:radii", 0, -1) == [job_id.encode()]


def test_filling_store_takes_no_more_jobs(served: Start, redis: Redis, png: bytes) -> None:
    """What is left is for the answers of the jobs that wait; with room, all is well again, without a restart."""
    with served() as client:
        used = int(redis.info("memory")["used_memory"])
        redis.config_set("maxmemory", int(used / 0.95))
        try:
            response = post(client, png)
            assert (response.status_code, response.json()["code"]) == (503, "store_unavailable")
            assert "'maxmemory'" in response.json()["detail"]
            assert int(response.headers["Retry-After"]) > 0
            assert redis.set("an answer", "finds room")
        finally:
            redis.config_set("maxmemory", "0")
        assert post(client, png).status_code == 202


def test_store_without_room_refuses_the_whole_submission(served: Start, redis: Redis, png: bytes) -> None:
    """It filled up since we looked: 503, nothing half written, and well again later."""
    with served(catalogue_seconds=60, rate_limit_submit="off") as client:
        assert post(client, png).status_code == 202
        before = redis.dbsize()
        redis.config_set("maxmemory", "1mb")
        try:
            refused = post(client, png)
        finally:
            redis.config_set("maxmemory", "0")
        assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
        assert int(refused.headers["Retry-After"]) > 0
        assert redis.dbsize() == before
        assert post(client, png).status_code == 202


def test_lately_heard_of_models_are_asked_about_again_before_a_refusal(
    served: Start, redis: Redis, beat: Callable[..., None], toy: ModelInfo, png: bytes
) -> None:
    """What the engines said is kept for a while, but nobody is refused on hearsay."""
    with served(catalogue_seconds=60) as client:
        assert post(client, png, model="toy").status_code == 202
        assert post(client, png, model="new").status_code == 422
        beat(toy.model_copy(update={"name": "new"}))
        assert post(client, png, model="new").status_code == 202
        redis.delete(keys.ENGINES)
        assert post(client, png, model="new").status_code == 202
