"""The forked side of a job, against a real queue, a real RQ worker and an engine of three lines."""

import json
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Queue, Retry, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from contract import keys
from contract.problems import Problem
from workers import relay
from workers.allowed_job import AllowedJob

Answer = Callable[[Connection], None]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Callable[[Answer], None]]:
    """Listens where the relay looks, and does to each connection what it is told."""
    socket = tmp_path / "engine.sock"
    relay.use_engine(socket)
    listener = Listener(str(socket), "AF_UNIX")
    threads = []

    def serve(answer: Answer) -> None:
        def accept() -> None:
            with listener.accept() as connection:
                answer(connection)

        thread = threading.Thread(target=accept, daemon=True)
        threads.append(thread)
        thread.start()

    yield serve
    listener.close()


def run(redis: Redis, retries: int = 0) -> Job:
    """Enqueues one certification and works the queue until it is empty."""
    queue = Queue(keys.QUEUE, connection=redis, serializer=JSONSerializer, job_class=AllowedJob)
    retry = Retry(max=retries) if retries else None
    job = queue.enqueue(keys.CERTIFY_TASK, args=[{"job_id": "j"}], job_id="c" * 32, retry=retry)
    SimpleWorker([queue], connection=redis, serializer=JSONSerializer, job_class=AllowedJob).work(
        burst=True, logging_level="CRITICAL"
    )
    job.refresh()
    return job


def reply(content: dict[str, Any]) -> Answer:
    """An engine that answers."""

    def answer(connection: Connection) -> None:
        assert json.loads(connection.recv_bytes())["kind"] == "certify"
        connection.send_bytes(json.dumps(content).encode())

    return answer


def die(connection: Connection) -> None:
    """An engine that is killed in mid-job."""
    connection.recv_bytes()
    connection.send_bytes(b'{"taken": true}')


def test_the_result_is_a_pointer(redis: Redis, engine: Callable[[Answer], None]) -> None:
    """What RQ keeps is small."""
    engine(reply({"result": {"certificate": "c" * 32}}))
    job = run(redis)
    assert job.get_status() == "finished"
    assert job.return_value() == {"certificate": "c" * 32}


def test_a_lost_engine_is_tried_again(redis: Redis, engine: Callable[[Answer], None]) -> None:
    """The second attempt succeeds."""
    engine(die)
    engine(reply({"result": {"certificate": "c" * 32}}))
    job = run(redis, retries=2)
    assert job.get_status() == "finished"
    assert job.retries_left == 1


def test_an_engine_that_lost_the_store_is_tried_again(redis: Redis, engine: Callable[[Answer], None]) -> None:
    """The job did nothing wrong."""
    engine(reply({"lost": "the store was lost"}))
    engine(reply({"result": {"certificate": "c" * 32}}))
    assert run(redis, retries=2).get_status() == "finished"


def test_an_engine_that_is_always_lost_fails_the_job(redis: Redis, engine: Callable[[Answer], None]) -> None:
    """Three attempts, then it is the client's to know."""
    for _ in range(3):
        engine(die)
    assert run(redis, retries=2).get_status() == "failed"


def test_a_failure_that_would_repeat_is_final_and_tells_why(
    redis: Redis, engine: Callable[[Answer], None]
) -> None:
    """No retry; the problem is where the API looks for it."""
    engine(reply({"failure": {"code": "model_changed", "detail": "it was replaced"}}))
    job = run(redis, retries=2)
    assert job.get_status() == "failed"
    assert job.retries_left == 2
    stored = redis.get(keys.problem(job.id))
    assert stored is not None
    problem = Problem.model_validate_json(stored)
    assert (problem.code, problem.detail) == ("model_changed", "it was replaced")


def test_a_job_cancelled_before_its_start_never_reaches_the_engine(
    redis: Redis, engine: Callable[[Answer], None]
) -> None:
    """RQ starts a job that is cancelled between dequeue and start; the flag stops it."""
    del engine
    redis.set(keys.cancel("c" * 32), 1)
    job = run(redis, retries=2)
    assert job.get_status() == "failed"
    assert not redis.exists(keys.problem(job.id))
