"""The forked side of a job, against a real queue, a real RQ worker and an engine of three lines."""

import json
import os
import signal
import socket as sockets
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from queue import SimpleQueue

import pytest
from redis import Redis
from rq import Queue, Retry, SimpleWorker, Worker
from rq.command import send_stop_job_command
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker

from contract import keys
from contract.choices import ProblemCode
from contract.problems import Problem
from workers.failures import EngineLost, JobFailure, Superseded, WorkerError
from workers.process.engine_socket import EngineClient, to_reply
from workers.process.rq import attempt
from workers.process.rq.allowed_job import AllowedJob

Answer = Callable[[Connection], None]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Callable[[Answer], None]]:
    """Listens where the relay looks, and does to the n-th connection the n-th of the things it is told."""
    socket = tmp_path / "engine.sock"
    attempt.use_engine(EngineClient(socket, boot_seconds=120))
    listener = Listener(str(socket), "AF_UNIX")
    answers: SimpleQueue[Answer] = SimpleQueue()

    def serve() -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                with listener.accept() as connection:
                    answers.get()(connection)

    threading.Thread(target=serve, daemon=True).start()
    yield answers.put
    listener.close()


def run(redis: Redis, retries: int = 0, worker_class: type[BaseWorker] = SimpleWorker) -> Job:
    """Enqueues one certification and works the queue until it is empty."""
    queue = Queue(keys.QUEUE, connection=redis, serializer=JSONSerializer, job_class=AllowedJob)
    retry = Retry(max=retries) if retries else None
    job = queue.enqueue(keys.CERTIFY_TASK, args=[{"job_id": "j"}], job_id="c" * 32, retry=retry)
    worker_class([queue], connection=redis, serializer=JSONSerializer, job_class=AllowedJob).work(
        burst=True, logging_level="CRITICAL"
    )
    job.refresh()
    return job


def reply(outcome: dict[str, str] | WorkerError) -> Answer:
    """An engine that answers."""

    def answer(connection: Connection) -> None:
        assert json.loads(connection.recv_bytes())["kind"] == "certify"
        connection.send_bytes(to_reply(outcome))

    return answer


def die(connection: Connection) -> None:
    """An engine that is killed in mid-job."""
    connection.recv_bytes()
    connection.send_bytes(b'{"taken": true}')


def test_the_result_is_a_pointer(redis: Redis, engine: Callable[[Answer], None]) -> None:
    """What RQ keeps is small."""
    engine(reply({"certificate": "c" * 32}))
    job = run(redis)
    assert job.get_status() == "finished"
    assert job.return_value() == {"certificate": "c" * 32}


def test_a_job_begins_once(redis: Redis, redis_url: str, engine: Callable[[Answer], None]) -> None:
    """What its record says while it runs, and an answer is there, is what it says afterwards."""
    begun: list[bytes] = []

    def look(connection: Connection) -> None:
        connection.recv_bytes()
        with Redis.from_url(redis_url) as other:
            begun.append(other.hget(f"rq:job:{'c' * 32}", "started_at"))  # type: ignore[arg-type]
        connection.send_bytes(to_reply({"certificate": "c" * 32}))

    engine(look)
    run(redis)
    assert begun == [redis.hget(f"rq:job:{'c' * 32}", "started_at")]


def stop(redis: Redis, connection: Connection) -> None:
    """Cancels the job as the API does: RQ kills the relay."""
    del connection
    send_stop_job_command(redis, "c" * 32, serializer=JSONSerializer)


def kill(redis: Redis, connection: Connection) -> None:
    """Kills the relay, as the kernel does when memory is short."""
    del redis
    with sockets.socket(fileno=os.dup(connection.fileno())) as peer:
        pid, _, _ = struct.unpack("3i", peer.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, 12))
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(("end", "status"), [(stop, "stopped"), (kill, "failed")])
def test_a_job_whose_relay_is_killed_begins_once(
    redis: Redis,
    redis_url: str,
    engine: Callable[[Answer], None],
    end: Callable[[Redis, Connection], None],
    status: str,
) -> None:
    """RQ's worker writes the record then, by a clock that it read later than the record's."""
    begun: list[bytes] = []

    def look(connection: Connection) -> None:
        connection.recv_bytes()
        with Redis.from_url(redis_url) as other:
            begun.append(other.hget(f"rq:job:{'c' * 32}", "started_at"))  # type: ignore[arg-type]
            end(other, connection)
        with suppress(EOFError):
            connection.recv_bytes()  # until the relay is gone

    engine(look)
    job = run(redis, worker_class=Worker)
    assert job.get_status() == status
    assert begun == [redis.hget(job.key, "started_at")] != [b""]


def test_a_lost_engine_is_tried_again(redis: Redis, engine: Callable[[Answer], None]) -> None:
    """The second attempt succeeds."""
    engine(die)
    engine(reply({"certificate": "c" * 32}))
    job = run(redis, retries=2)
    assert job.get_status() == "finished"
    assert job.retries_left == 1


def test_an_engine_that_lost_the_store_is_tried_again(redis: Redis, engine: Callable[[Answer], None]) -> None:
    """The job did nothing wrong."""
    engine(reply(EngineLost("the store was lost")))
    engine(reply({"certificate": "c" * 32}))
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
    engine(reply(JobFailure(ProblemCode.MODEL_CHANGED, "it was replaced")))
    job = run(redis, retries=2)
    assert job.get_status() == "failed"
    assert job.retries_left == 2
    stored = redis.get(keys.problem(job.id))
    assert stored is not None
    problem = Problem.model_validate_json(stored)
    assert (problem.code, problem.detail) == ("model_changed", "it was replaced")


def test_a_job_that_has_failed_is_not_begun_again(redis: Redis, engine: Callable[[Answer], None]) -> None:
    """Killed between the problem and RQ's record of it; its client may have read the problem."""
    del engine
    redis.set(keys.problem("c" * 32), "{}")
    job = run(redis, retries=2)
    assert (job.get_status(), job.retries_left) == ("failed", 2)
    ended = job.latest_result()
    assert ended is not None
    assert "Abandoned" in (ended.exc_string or "")
    assert redis.get(keys.problem(job.id)) == b"{}"


def test_attempts_are_numbered(redis: Redis, engine: Callable[[Answer], None]) -> None:
    """The engine is told, and commits only what the latest attempt has found."""
    told: list[int] = []

    def note_and_die(connection: Connection) -> None:
        told.append(json.loads(connection.recv_bytes())["attempt"])
        connection.send_bytes(b'{"taken": true}')

    for _ in range(3):
        engine(note_and_die)
    run(redis, retries=2)
    assert told == [1, 2, 3]
    assert redis.get(keys.attempt("c" * 32)) == b"3"
    assert redis.ttl(keys.attempt("c" * 32)) > 0


@pytest.mark.parametrize(
    "error",
    [Superseded("c" * 32), EngineLost("the store"), JobFailure(ProblemCode.INTERNAL_ERROR, "oh")],
    ids=lambda error: type(error).__name__,
)
def test_an_attempt_that_is_superseded_leaves_without_a_word(
    redis: Redis, redis_url: str, engine: Callable[[Answer], None], error: WorkerError
) -> None:
    """RQ's record is about the later attempt by now: neither failed nor put on the queue once more."""

    def supersede(connection: Connection) -> None:
        connection.recv_bytes()
        with Redis.from_url(redis_url) as other:
            other.incr(keys.attempt("c" * 32))
        connection.send_bytes(to_reply(error))

    engine(supersede)
    job = run(redis, retries=2, worker_class=Worker)
    assert (job.get_status(), job.retries_left) == ("started", 2)
    assert not redis.exists(keys.problem(job.id), f"rq:queue:{keys.QUEUE}")


def test_a_job_cancelled_before_its_start_never_reaches_the_engine(
    redis: Redis, engine: Callable[[Answer], None]
) -> None:
    """RQ starts a job that is cancelled between dequeue and start; the flag stops it."""
    del engine
    redis.set(keys.cancel("c" * 32), 1)
    job = run(redis, retries=2)
    assert job.get_status() == "failed"
    assert not redis.exists(keys.problem(job.id))
