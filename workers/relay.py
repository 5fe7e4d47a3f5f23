"""The forked side of a job: hands it to the engine over a Unix socket and waits.

RQ kills this process to cancel a job or to enforce a timeout; the engine sees the closed socket and abandons
the work between two batches. Nothing here imports torch, so a fork costs milliseconds.
"""

import json
import time
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

from redis import Redis
from rq import get_current_job
from rq.job import Job
from rq.timeouts import JobTimeoutException

from contract import keys
from contract.choices import ProblemCode
from contract.limits import ENGINE_BOOT_SECONDS, FAILURE_TTL, JOB_TIMEOUT
from workers.failures import Abandoned, EngineLost, JobFailure

_engine_socket: Path | None = None


def use_engine(socket: Path) -> None:
    """Says where the engine listens. Called once by the queue worker; every relay is a fork of it."""
    global _engine_socket
    _engine_socket = socket


def relay(kind: str, payload: dict[str, Any]) -> dict[str, str]:
    """Runs one job in the engine.

    Raises:
        JobFailure: The engine says why the job cannot succeed. Not tried again.
        EngineLost: The engine died or cannot be reached. RQ tries again.
        Abandoned: The client cancelled before the job began.
    """
    job = get_current_job()
    if job is None or _engine_socket is None:
        raise RuntimeError("a task runs only inside a queue worker")
    redis = job.connection
    if redis.exists(keys.cancel(job.id)):
        _never_again(job)
        raise Abandoned(job.id)
    try:
        return _ask(_engine_socket, {"kind": kind, "job_id": job.id, "task": payload})
    except JobTimeoutException as timeout:
        failure = JobFailure(ProblemCode.TIMEOUT, f"the computation took longer than {JOB_TIMEOUT} s")
        _fail(redis, job, failure)
        raise failure from timeout
    except JobFailure as failure:
        _fail(redis, job, failure)
        raise


def _ask(socket: Path, request: dict[str, Any]) -> dict[str, str]:
    with _connect(socket) as connection:
        try:
            connection.send_bytes(json.dumps(request).encode())
            reply: dict[str, Any] = json.loads(connection.recv_bytes())
        except (EOFError, OSError) as error:
            raise EngineLost("the engine died while it worked on the job") from error
    if "failure" in reply:
        raise JobFailure(ProblemCode(reply["failure"]["code"]), reply["failure"]["detail"])
    if "lost" in reply:
        raise EngineLost(reply["lost"])
    if "abandoned" in reply:
        raise Abandoned(reply["abandoned"])
    result: dict[str, str] = reply["result"]
    return result


def _connect(socket: Path) -> Connection:
    """Waits for an engine that is still starting, or starting again."""
    deadline = time.monotonic() + ENGINE_BOOT_SECONDS
    while True:
        try:
            return Client(str(socket), "AF_UNIX")
        except (FileNotFoundError, ConnectionError, EOFError) as error:
            if time.monotonic() > deadline:
                raise EngineLost(f"no engine within {ENGINE_BOOT_SECONDS} s") from error
            time.sleep(0.02)


def _fail(redis: Redis, job: Job, failure: JobFailure) -> None:
    redis.set(keys.problem(job.id), failure.problem.model_dump_json(), ex=FAILURE_TTL)
    _never_again(job)


def _never_again(job: Job) -> None:
    # Only in this process's copy: the stored count of tries stays true.
    job.retries_left = None
