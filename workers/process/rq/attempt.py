"""One attempt at a job, as RQ's fork runs it: numbers it, has the engine do it, and says how it ended.

RQ counts the attempts and puts a job back on the queue after an error. What it cannot know: that a failure
would repeat, and that another attempt has begun because this one was given up for lost.
"""

import os
from dataclasses import dataclass
from typing import Any, Final

import structlog
from redis import Redis
from rq import get_current_job
from rq.job import Job
from rq.timeouts import JobTimeoutException
from rq.utils import str_to_date

from contract import keys
from contract.choices import ProblemCode
from contract.limits import FAILURE_TTL, JOB_TIMEOUT, SUBMISSION_TTL
from contract.metrics import JOBS, RETRIES, Family
from workers.failures import Abandoned, EngineLost, JobFailure, Superseded
from workers.metrics import WorkerMetrics
from workers.process.messages import JobRequest
from workers.process.relay import EngineAddress, ask_engine

# Atomic, because another attempt may begin at any time: only the latest may say that the job has failed, and
# the first problem that was stored stands, since a client may have read it.
_FAIL: Final = """
if (redis.call('GET', KEYS[1]) or ARGV[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'NX', 'EX', ARGV[3])
return 1
"""

_engine: EngineAddress | None = None
log = structlog.get_logger()


def use_engine(engine: EngineAddress) -> None:
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
    attempt = Attempt(job, kind, payload)
    with structlog.contextvars.bound_contextvars(process="relay", **attempt.about):
        return attempt.run(_engine)


def count_killed(job: Job, *_: Any) -> None:
    """Counts a job whose relay was killed and so could not; called by RQ in the queue worker."""
    if not job.retries_left:
        payload = job.args[0] if job.args else None
        kind = (job.func_name or "").rpartition(".")[2]
        Attempt(job, kind, payload).count_failure(ProblemCode.WORKER_LOST)


@dataclass
class Attempt:
    """An attempt at a job.

    Attributes:
        job: RQ's record of it.
        kind: ``certify`` or ``predict``.
        payload: What the API asked. Anyone who can write to Redis may have put anything there.
        number: 1 for the first, 0 before it has begun.
    """

    job: Job
    kind: str
    payload: object
    number: int = 0

    @property
    def redis(self) -> Redis:
        """RQ's client."""
        return self.job.connection

    @property
    def about(self) -> dict[str, str]:
        """What the log says of the job."""
        asked = self.payload if isinstance(self.payload, dict) else {}
        model, request_id = asked.get("model"), asked.get("request_id")
        return {
            "job_id": self.job.id,
            "kind": self.kind,
            "model": model[:100] if isinstance(model, str) else "unknown",
            "request_id": request_id[:128] if isinstance(request_id, str) else "",
        }

    def run(self, engine: EngineAddress) -> dict[str, str]:
        """Runs it; raises as `run_in_engine`."""
        try:
            self._begin()
            result = ask_engine(engine, self._request())
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
        self._count(JOBS, self.kind, self.about["model"], "failed", code.value)

    def _begin(self) -> None:
        """Takes the next number; from now on no earlier attempt may commit.

        Raises:
            Abandoned: The client has cancelled, or the job has failed before.
        """
        job_id, model = self.job.id, self.about["model"]
        with self.redis.pipeline(transaction=True) as pipeline:
            pipeline.exists(keys.cancel(job_id))
            pipeline.exists(keys.problem(job_id))
            pipeline.incr(keys.attempt(job_id))
            pipeline.expire(keys.attempt(job_id), SUBMISSION_TTL)
            pipeline.hget(self.job.key, "started_at")
            cancelled, failed, self.number, _, started_at = pipeline.execute()
        # RQ takes the time once more after it has written it, and would write that when the job has ended: a
        # client that reads the answer before and after that would see the job begin twice.
        self.job.started_at = str_to_date(started_at) or self.job.started_at
        structlog.contextvars.bind_contextvars(attempt=self.number)
        if cancelled:
            log.info("job was cancelled before it began")
        if cancelled or failed:
            raise Abandoned(job_id)
        if self.number > 1:
            self._count(RETRIES, model)

    def _request(self) -> JobRequest:
        log_fields = {**self.about, "attempt": self.number}
        return JobRequest(self.kind, self.job.id, self.number, self.payload, os.getpid(), log_fields)

    def _is_superseded(self) -> bool:
        latest = self.redis.get(keys.attempt(self.job.id))
        return isinstance(latest, bytes) and int(latest) != self.number

    def _fail(self, failure: JobFailure) -> None:
        names = keys.attempt(self.job.id), keys.problem(self.job.id)
        text = failure.problem.model_dump_json()
        if not self.redis.eval(_FAIL, len(names), *names, self.number, text, FAILURE_TTL):
            _leave_silently()
        self._never_again()
        log.warning("job failed", code=failure.code.value, detail=failure.detail)

    def _never_again(self) -> None:
        # RQ decides by the job that it handed to this process; the stored count of tries stays true.
        self.job.retries_left = None

    def _count(self, family: Family, *labels: str) -> None:
        metrics = WorkerMetrics()
        metrics.add(family, *labels)
        metrics.publish(self.redis)


def _leave_silently() -> None:
    """Ends this process before RQ writes anything: its record is about the later attempt by now."""
    os._exit(0)
