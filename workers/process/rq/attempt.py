"""One attempt at a job, as RQ's fork runs it: numbers it, has the engine do it, and says how it ended.

RQ counts the attempts and puts a job back on the queue after an error. What it cannot know: that a failure
would repeat, and that another attempt has begun because this one was given up for lost.
"""

import os
from dataclasses import dataclass, replace
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
from contract.problems import problem
from workers.failures import Abandoned, EngineLost, JobFailure, Superseded
from workers.metrics import count
from workers.process.engine_socket import EngineClient, JobRequest

# Atomic, because another attempt may begin at any time: only the latest may say that the job has failed, and
# the first problem that was stored stands, since a client may have read it.
_FAIL: Final = """
if (redis.call('GET', KEYS[1]) or ARGV[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'NX', 'EX', ARGV[3])
return 1
"""

_engine: EngineClient | None = None
log = structlog.get_logger()


def use_engine(engine: EngineClient) -> None:
    """Sets which engine runs the jobs. Called once by the queue worker, of which every attempt is a fork."""
    global _engine
    _engine = engine


def run_in_engine(kind: str, payload: dict[str, Any]) -> dict[str, str]:
    """Runs RQ's current job in the engine; returns a pointer to the answer.

    Raises:
        JobFailure: The job cannot succeed. Not tried again.
        EngineLost: The engine died or cannot be reached. RQ tries again.
        Abandoned: The client cancelled, or the job has failed before. Not tried again.
    """
    job = get_current_job()
    if job is None or _engine is None:
        raise RuntimeError("a task runs only inside a queue worker")
    request = JobRequest(kind, job.id, payload)
    with structlog.contextvars.bound_contextvars(process="relay", **request.log):
        return Attempt(job, request).run(_engine)


def count_killed(job: Job, *_: Any) -> None:
    """Counts a job whose relay was killed and so could not; called by RQ in the queue worker."""
    if not job.retries_left:
        payload = job.args[0] if job.args else None
        kind = (job.func_name or "").rpartition(".")[2]
        Attempt(job, JobRequest(kind, job.id, payload)).count_failure(ProblemCode.WORKER_LOST)


@dataclass
class Attempt:
    """An attempt at a job.

    Attributes:
        job: RQ's record of it.
        request: What the engine is asked.
    """

    job: Job
    request: JobRequest

    @property
    def redis(self) -> Redis:
        """RQ's client."""
        return self.job.connection

    def run(self, engine: EngineClient) -> dict[str, str]:
        """Runs it; raises as `run_in_engine`."""
        try:
            self._begin()
            result = engine.run(self.request)
        except JobTimeoutException as timeout:
            seconds = self.job.timeout or JOB_TIMEOUT
            failure = JobFailure(ProblemCode.TIMEOUT, f"the computation took longer than {seconds} s")
            self._fail(failure)
            self.count_failure(failure.code)
            raise failure from timeout
        except JobFailure as failure:
            self._fail(failure)
            raise
        except Abandoned:
            self._never_again()
            raise
        except EngineLost as lost:
            if self._is_superseded():
                _leave_silently()
            log.warning("engine lost", detail=str(lost), tries_left=self.job.retries_left or 0)
            if not self.job.retries_left:
                self.count_failure(ProblemCode.WORKER_LOST)
            raise
        except Superseded:
            _leave_silently()
            raise
        log.info("job ended")
        return result

    def count_failure(self, code: ProblemCode) -> None:
        """Counts the job as failed."""
        count(self.redis, JOBS, self.request.kind, self.request.log["model"], "failed", code.value)

    def _begin(self) -> None:
        """Takes the next number; from now on no earlier attempt may commit.

        Raises:
            Abandoned: The client has cancelled, or the job has failed before.
        """
        job_id = self.job.id
        with self.redis.pipeline(transaction=True) as pipeline:
            pipeline.exists(keys.cancel(job_id))
            pipeline.exists(keys.problem(job_id))
            pipeline.incr(keys.attempt(job_id))
            pipeline.expire(keys.attempt(job_id), SUBMISSION_TTL)
            cancelled, failed, number, _ = pipeline.execute()
        self.request = replace(self.request, attempt=number)
        structlog.contextvars.bind_contextvars(attempt=number)
        if cancelled:
            log.info("job was cancelled before it began")
        if cancelled or failed:
            raise Abandoned(job_id)
        if number > 1:
            count(self.redis, RETRIES, self.request.log["model"])

    def _is_superseded(self) -> bool:
        latest = self.redis.get(keys.attempt(self.job.id))
        return isinstance(latest, bytes) and int(latest) != self.request.attempt

    def _fail(self, failure: JobFailure) -> None:
        names = keys.attempt(self.job.id), keys.problem(self.job.id)
        text = problem(failure.code, failure.detail).model_dump_json()
        if not self.redis.eval(_FAIL, len(names), *names, self.request.attempt, text, FAILURE_TTL):
            _leave_silently()
        self._never_again()
        log.warning("job failed", code=failure.code.value, detail=failure.detail)

    def _never_again(self) -> None:
        # RQ decides by the job that it handed to this process; the stored count of tries stays true.
        self.job.retries_left = None


def _leave_silently() -> None:
    """Ends this process before RQ writes anything: its record is about the later attempt by now."""
    os._exit(0)
