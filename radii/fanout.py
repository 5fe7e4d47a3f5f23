"""Certifying over the workers of a running service: tasks go to its queue as the API would put them there."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from redis import Redis
from redis.exceptions import RedisError

from contract import keys
from contract.certificates import Certificate
from contract.choices import JobKind, JobStatus, ProblemCode
from contract.jobs import Job, Submission
from contract.models import ModelInfo
from contract.redis_url import full_redis_url
from contract.settings import ProcessSettings
from contract.tasks import CertifyTask
from evaluation.certificates.cases import Case, question_for
from evaluation.errors import EvaluationError
from evaluation.plan import EvaluationPlan
from service.jobs.admission import Terms
from service.jobs.catalogue import read_catalogue
from service.jobs.queue import enqueue
from service.jobs.state import read_job

ATTEMPTS = 3
"""How often a case is submitted again whose job was lost or expired; any other failure would repeat."""

_WAKE_MILLISECONDS = 1000

# What an evaluation has on the queue is bounded by its own `--in-flight`.
_TERMS: Final = Terms("evaluation", max_queued=2**31, max_queued_per_account=None, idempotency=None)


@dataclass
class _Pending:
    case: Case
    attempt: int
    job_id: str
    tries: int = 1
    position: str = "0-0"


class Fanout:
    """The workers behind one Redis. At most ``in_flight`` jobs are on its queue at a time.

    A job's id follows from the journal's name and the case, so a resumed evaluation finds the jobs of
    the interrupted one, finished or not, and submits none of them again.
    """

    def __init__(self, redis_url: str, run: str, in_flight: int) -> None:
        """Opens the Redis at an address; its password may lie in ``RADII_REDIS_PASSWORD_FILE``.

        Raises:
            EvaluationError: It is no address, or the file holds no password.
        """
        try:
            address = full_redis_url(redis_url, os.environ.get("RADII_REDIS_PASSWORD_FILE"))
        except ValueError as error:
            raise EvaluationError(str(error)) from None
        self._redis = Redis.from_url(address, health_check_interval=15)
        self._run = run
        self._in_flight = in_flight

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._redis.close()

    def models(self) -> dict[str, ModelInfo]:
        """Return what the workers serve.

        Raises:
            EvaluationError: Redis does not answer, or no worker was heard of.
        """
        try:
            found = read_catalogue(self._redis, None, ProcessSettings().timing)
        except RedisError as error:
            raise EvaluationError(f"'redis-url' must lead to a Redis that answers: {error}") from error
        if not found.engines_alive:
            raise EvaluationError("'redis-url' must be a running service's, got one without workers")
        return found.models

    def answers(self, plan: EvaluationPlan, cases: Sequence[Case]) -> Iterator[tuple[Case, Certificate]]:
        """Yield certificates as workers finish them.

        Raises:
            EvaluationError: A field is refused, a job failed, or the Redis is gone.
        """
        models, waiting = self.models(), list(reversed(cases))
        pending: list[_Pending] = []
        try:
            while waiting or pending:
                while waiting and len(pending) < self._in_flight:
                    case = waiting.pop()
                    pending.append(self._submit(plan, case, models[case.setting.bundle], 0))
                left: list[_Pending] = []
                for one in pending:
                    reading = read_job(self._redis, one.job_id)
                    job = None if reading is None else reading.job
                    if job is not None and job.certificate is not None:
                        yield one.case, job.certificate
                    elif reading is not None and not reading.job.status.final:
                        one.position = reading.position
                        left.append(one)
                    else:
                        left.append(self._again(plan, one, models[one.case.setting.bundle], job))
                pending = left
                if len(pending) == self._in_flight or not waiting:
                    self._wait(pending)
        except RedisError as error:
            raise EvaluationError(f"Redis is gone: {error}; the same command goes on") from error

    def _submit(self, plan: EvaluationPlan, case: Case, model: ModelInfo, attempt: int) -> _Pending:
        """Submit a case, unless an earlier run of this journal has a job that may answer it."""
        job_id = self._job_id(case, attempt)
        while (reading := read_job(self._redis, job_id)) is not None and _failed(reading.job):
            attempt += 1
            job_id = self._job_id(case, attempt)
        if reading is None:
            task = CertifyTask(
                question=question_for(plan, case, model),
                job_id=job_id,
                model=model.name,
                model_digest=model.digest,
                image_digest=case.digest,
                upload_digest=case.digest,
            )
            record = Submission(
                job_id=job_id, kind=JobKind.CERTIFY, model=model.name, created_at=datetime.now(UTC)
            )
            enqueue(self._redis, record, task, case.pixels, _TERMS)
        return _Pending(case, attempt, job_id)

    def _job_id(self, case: Case, attempt: int) -> str:
        name = f"radii/evaluation/job/1:{self._run}:{case.key}:{attempt}"
        return hashlib.sha256(name.encode()).hexdigest()[:32]

    def _again(self, plan: EvaluationPlan, one: _Pending, model: ModelInfo, job: Job | None) -> _Pending:
        error = job.error if job else None
        lost = job is None or job.status is JobStatus.EXPIRED
        lost = lost or (error is not None and error.code is ProblemCode.WORKER_LOST)
        if not lost or one.tries >= ATTEMPTS:
            status = "lost" if job is None else job.status.value
            raise EvaluationError(f"{one.case.key}: {error.detail if error else status} (job {one.job_id})")
        again = self._submit(plan, one.case, model, one.attempt + 1)
        again.tries = one.tries + 1
        return again

    def _wait(self, pending: Sequence[_Pending]) -> None:
        """Wait for an event of one of the jobs, or a second."""
        if pending:
            streams = {keys.events(one.job_id): one.position for one in pending}
            self._redis.xread(streams, count=1, block=_WAKE_MILLISECONDS)  # type: ignore[arg-type]


def _failed(job: Job) -> bool:
    return job.status.final and job.certificate is None
