"""The forked side of a job: hands it to the engine over a Unix socket and waits.

RQ kills this process to cancel a job or to enforce a timeout; the engine sees the closed socket and abandons
the work between two batches. Nothing here imports torch, so a fork costs milliseconds.
"""

import json
import os
import time
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any, Final

from redis import Redis
from rq import get_current_job
from rq.job import Job
from rq.timeouts import JobTimeoutException

from contract import keys
from contract.choices import ProblemCode
from contract.limits import ENGINE_BOOT_SECONDS, FAILURE_TTL, JOB_TIMEOUT, SUBMISSION_TTL
from workers.failures import Abandoned, EngineLost, JobFailure, Superseded

# Only the latest attempt may say that the job has failed, and only once.
_FAIL: Final = """
if (redis.call('GET', KEYS[1]) or ARGV[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'NX', 'EX', ARGV[3])
return 1
"""

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
        Abandoned: The client cancelled, or the job has failed before. Not tried again.
    """
    job = get_current_job()
    if job is None or _engine_socket is None:
        raise RuntimeError("a task runs only inside a queue worker")
    redis = job.connection
    attempt = 0
    try:
        attempt = _begin(redis, job)
        request = {"kind": kind, "job_id": job.id, "attempt": attempt, "task": payload}
        return _ask(_engine_socket, request)
    except JobTimeoutException as timeout:
        failure = JobFailure(ProblemCode.TIMEOUT, f"the computation took longer than {JOB_TIMEOUT} s")
        _fail(redis, job, failure, attempt)
        raise failure from timeout
    except JobFailure as failure:
        _fail(redis, job, failure, attempt)
        raise
    except Abandoned:
        _never_again(job)
        raise
    except EngineLost:
        latest = redis.get(keys.attempt(job.id))
        if isinstance(latest, bytes) and int(latest) != attempt:
            _leave()
        raise
    except Superseded:
        _leave()
        raise


def _begin(redis: Redis, job: Job) -> int:
    """Returns the number of this attempt; from now on no earlier one may commit."""
    with redis.pipeline(transaction=True) as pipeline:
        pipeline.exists(keys.cancel(job.id), keys.problem(job.id))
        pipeline.incr(keys.attempt(job.id))
        pipeline.expire(keys.attempt(job.id), SUBMISSION_TTL)
        final, attempt, _ = pipeline.execute()
    if final:
        raise Abandoned(job.id)
    return int(attempt)


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
    if "superseded" in reply:
        raise Superseded(reply["superseded"])
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


def _fail(redis: Redis, job: Job, failure: JobFailure, attempt: int) -> None:
    names = (keys.attempt(job.id), keys.problem(job.id))
    if not redis.eval(_FAIL, len(names), *names, attempt, failure.problem.model_dump_json(), FAILURE_TTL):
        _leave()
    _never_again(job)


def _leave() -> None:
    """Ends this process without a word to RQ, whose record is about the later attempt by now."""
    os._exit(0)


def _never_again(job: Job) -> None:
    # Only in this process's copy: the stored count of tries stays true.
    job.retries_left = None
