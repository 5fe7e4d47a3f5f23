"""Cancels a job. A final state that was reported once never changes."""

from datetime import UTC, datetime
from typing import Any, cast

from redis import Redis
from redis.client import Pipeline

from contract import keys
from contract.choices import JobStatus, ProblemCode
from contract.jobs import Job
from contract.limits import SUBMISSION_TTL
from contract.metrics import JOBS
from contract.problems import refusal
from service.jobs.queue import stop_job
from service.jobs.state import Cancellation, read_job, watched_keys


def cancel(redis: Redis, job_id: str) -> Job:
    """Cancels a job. It may still be running when this returns, but it can have no result any more.

    Raises:
        ProblemError: There is no such job, or it has succeeded or failed.
    """
    job = _raise_flag(redis, job_id)
    if job.status in (JobStatus.SUCCEEDED, JobStatus.FAILED):
        raise refusal(
            ProblemCode.JOB_FINISHED,
            f"only a queued or running job can be cancelled; this one is {job.status}",
        )
    if job.status.final:
        return job
    stop_job(redis, job_id)
    return _require(redis, job_id)


def _raise_flag(redis: Redis, job_id: str) -> Job:
    """Sets the flag if the job is not final, in one step with finding that out, and counts the job once.

    It is counted here, since a worker need not see it: it may wait, or its relay may be killed at any time.
    """

    def flag(pipeline: Pipeline) -> Any:
        job = _require(redis, job_id)
        flagged = redis.exists(keys.cancel(job_id))
        pipeline.multi()
        if not job.status.final and not flagged:
            flag = Cancellation(datetime.now(UTC), stopping=job.status is JobStatus.RUNNING)
            pipeline.set(keys.cancel(job_id), flag.to_text(), ex=SUBMISSION_TTL)
            pipeline.hincrbyfloat(keys.METRICS, JOBS.field(job.kind.value, job.model, "abandoned", ""), 1)
        return job

    watched = keys.cancel(job_id), *watched_keys(job_id)
    return cast("Job", redis.transaction(flag, *watched, value_from_callable=True))


def _require(redis: Redis, job_id: str) -> Job:
    reading = read_job(redis, job_id)
    if reading is None:
        raise refusal(ProblemCode.NOT_FOUND, "no such job")
    return reading.job
