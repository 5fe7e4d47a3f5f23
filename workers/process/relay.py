"""The forked side of a job: hands it to the engine over a Unix socket and waits.

RQ kills this process to cancel a job or to enforce a timeout; the engine sees the closed socket and abandons
the work between two batches. Nothing here imports torch, so a fork costs milliseconds.
"""

import json
import os
import time
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any, Final

import structlog
from redis import Redis
from rq import get_current_job
from rq.job import Job
from rq.timeouts import JobTimeoutException

from contract import keys
from contract.choices import ProblemCode
from contract.limits import FAILURE_TTL, JOB_TIMEOUT, SUBMISSION_TTL
from contract.metrics import JOBS, RETRIES
from workers.failures import Abandoned, EngineLost, JobFailure, Superseded
from workers.metrics import WorkerMetrics

# Only the latest attempt may say that the job has failed, and only once.
_FAIL: Final = """
if (redis.call('GET', KEYS[1]) or ARGV[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'NX', 'EX', ARGV[3])
return 1
"""


@dataclass(frozen=True)
class EngineAddress:
    """Where the engine of this worker listens, and how long a job waits for it to start."""

    socket: Path
    boot_seconds: float


_engine: EngineAddress | None = None
log = structlog.get_logger()


def use_engine(socket: Path, boot_seconds: float) -> None:
    """Sets where the engine listens. Called once by the queue worker; every relay is a fork of it."""
    global _engine
    _engine = EngineAddress(socket, boot_seconds)


def relay(kind: str, payload: dict[str, Any]) -> dict[str, str]:
    """Runs one job in the engine.

    Raises:
        JobFailure: The engine says why the job cannot succeed. Not tried again.
        EngineLost: The engine died or cannot be reached. RQ tries again.
        Abandoned: The client cancelled, or the job has failed before. Not tried again.
    """
    job = get_current_job()
    if job is None or _engine is None:
        raise RuntimeError("a task runs only inside a queue worker")
    about = {"job_id": job.id, "kind": kind, **_about(payload)}
    with structlog.contextvars.bound_contextvars(process="relay", **about):
        return _run(job, _engine, payload, about)


def count_killed(job: Job, *_: Any) -> None:
    """Counts a job that ended because its relay was killed, which can say nothing; called by RQ's parent."""
    if not job.retries_left:
        payload = job.args[0] if job.args else None
        _count_failure(job.connection, _kind(job), _about(payload)["model"], ProblemCode.WORKER_LOST)


def _run(job: Job, engine: EngineAddress, payload: dict[str, Any], about: dict[str, str]) -> dict[str, str]:
    redis, kind, model = job.connection, about["kind"], about["model"]
    attempt = 0
    try:
        attempt = _begin(redis, job, kind, model)
        result = _ask(engine, _request(job, payload, about, attempt))
    except JobTimeoutException as timeout:
        seconds = job.timeout or JOB_TIMEOUT
        failure = JobFailure(ProblemCode.TIMEOUT, f"the computation took longer than {seconds} s")
        _fail(redis, job, failure, attempt)
        _count_failure(redis, kind, model, failure.code)
        raise failure from timeout
    except JobFailure as failure:
        _fail(redis, job, failure, attempt)
        raise
    except Abandoned:
        _never_again(job)
        raise
    except EngineLost as lost:
        latest = redis.get(keys.attempt(job.id))
        if isinstance(latest, bytes) and int(latest) != attempt:
            _leave()
        log.warning("engine lost", detail=str(lost), tries_left=job.retries_left or 0)
        if not job.retries_left:
            _count_failure(redis, kind, model, ProblemCode.WORKER_LOST)
        raise
    except Superseded:
        _leave()
        raise
    log.info("job ended")
    return result


def _begin(redis: Redis, job: Job, kind: str, model: str) -> int:
    """Returns the number of this attempt; from now on no earlier one may commit.

    Raises:
        Abandoned: The client has cancelled, or the job has failed before.
    """
    with redis.pipeline(transaction=True) as pipeline:
        pipeline.exists(keys.cancel(job.id))
        pipeline.exists(keys.problem(job.id))
        pipeline.incr(keys.attempt(job.id))
        pipeline.expire(keys.attempt(job.id), SUBMISSION_TTL)
        cancelled, failed, attempt, _ = pipeline.execute()
    structlog.contextvars.bind_contextvars(attempt=attempt)
    if cancelled:
        log.info("job was cancelled before it began")
        _count(redis, JOBS, kind, model, "abandoned", "")
    if cancelled or failed:
        raise Abandoned(job.id)
    if attempt > 1:
        _count(redis, RETRIES, model)
    return int(attempt)


def _request(job: Job, payload: dict[str, Any], about: dict[str, str], attempt: int) -> dict[str, Any]:
    """What the engine is asked, and what its log says of it."""
    return {
        "kind": about["kind"],
        "job_id": job.id,
        "attempt": attempt,
        "task": payload,
        "relay": os.getpid(),
        "log": {**about, "attempt": attempt},
    }


def _ask(engine: EngineAddress, request: dict[str, Any]) -> dict[str, str]:
    while True:
        with _connect(engine) as connection:
            try:
                connection.send_bytes(json.dumps(request).encode())
                reply: dict[str, Any] = json.loads(connection.recv_bytes())
            except (EOFError, OSError):
                continue  # it left, or was killed, without having taken this job: the next one may
            if "taken" in reply:
                reply = _wait(connection)
        break
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


def _wait(connection: Connection) -> dict[str, Any]:
    try:
        reply: dict[str, Any] = json.loads(connection.recv_bytes())
    except (EOFError, OSError) as error:
        raise EngineLost("the engine died while it worked on the job") from error
    return reply


def _connect(engine: EngineAddress) -> Connection:
    """Waits for an engine that is still starting, or starting again."""
    deadline = time.monotonic() + engine.boot_seconds
    while True:
        try:
            return Client(str(engine.socket), "AF_UNIX")
        except (FileNotFoundError, ConnectionError, EOFError) as error:
            if time.monotonic() > deadline:
                raise EngineLost(f"no engine within {engine.boot_seconds:g} s") from error
            time.sleep(0.02)


def _about(payload: object) -> dict[str, str]:
    """What the log says of a task. Whoever can write to Redis may have put anything there."""
    told = payload if isinstance(payload, dict) else {}
    model, request_id = told.get("model"), told.get("request_id")
    return {
        "model": model[:100] if isinstance(model, str) else "unknown",
        "request_id": request_id[:128] if isinstance(request_id, str) else "",
    }


def _kind(job: Job) -> str:
    return (job.func_name or "").rpartition(".")[2]


def _count(redis: Redis, family: Any, *labels: str) -> None:
    metrics = WorkerMetrics()
    metrics.add(family, *labels)
    metrics.publish(redis)


def _count_failure(redis: Redis, kind: str, model: str, code: ProblemCode) -> None:
    _count(redis, JOBS, kind, model, "failed", code.value)


def _fail(redis: Redis, job: Job, failure: JobFailure, attempt: int) -> None:
    names = (keys.attempt(job.id), keys.problem(job.id))
    if not redis.eval(_FAIL, len(names), *names, attempt, failure.problem.model_dump_json(), FAILURE_TTL):
        _leave()
    _never_again(job)
    log.warning("job failed", code=failure.code.value, detail=failure.detail)


def _leave() -> None:
    """Ends this process without a word to RQ, whose record is about the later attempt by now."""
    os._exit(0)


def _never_again(job: Job) -> None:
    # Only in this process's copy: the stored count of tries stays true.
    job.retries_left = None
