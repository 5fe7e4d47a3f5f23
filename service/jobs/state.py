"""A job's state, derived from its keys in Redis; there is no second copy of it.

The result decides first, then the cancel flag, then the problem. RQ's record decides only if there is none of
them, because RQ revises it when a worker presumed dead comes back. A final state known only from RQ's record
is therefore persisted before it is reported: as a problem for a failed job, and in the cancel flag for a
stopped one. From then on the worker's commit is refused. All keys are read in one transaction: otherwise a
job that finishes between two reads would look lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Final, Self

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from contract import keys
from contract.certificates import Certificate, PredictedLabel
from contract.choices import JobStatus, NoiseKind, ProblemCode, Stage
from contract.jobs import Job, Links, Progress, Submission
from contract.limits import FAILURE_TTL, JOB_TIMEOUT
from contract.problems import Problem, problem
from service.jobs.queue import QueueRecord, parse_record, record_key, results_key, timed_out

_STOPPING: Final = " stopping"


@dataclass(frozen=True)
class Cancellation:
    """The value of the cancel flag.

    Attributes:
        at: When it was set.
        stopping: The job was running then, and has not been seen stopped.
    """

    at: datetime
    stopping: bool

    def to_text(self) -> str:
        """Returns the stored form."""
        return self.at.isoformat() + (_STOPPING if self.stopping else "")

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Parses the stored form."""
        return cls(datetime.fromisoformat(text.removesuffix(_STOPPING)), text.endswith(_STOPPING))


@dataclass(frozen=True)
class Reading:
    """The keys of a job, as read from Redis; ``position`` is the id of the last event among them."""

    submission: Submission
    certificate: Certificate | None
    prediction: PredictedLabel | None
    cancellation: Cancellation | None
    problem: Problem | None
    record: QueueRecord | None
    progress: Progress
    position: str
    timed_out: bool

    @cached_property
    def job(self) -> Job:
        """The job that they describe."""
        return _derive(self)

    @property
    def answer(self) -> Certificate | PredictedLabel | None:
        """The result, of either kind."""
        return self.certificate or self.prediction

    @property
    def last_word(self) -> dict[str, Any] | None:
        """What must be persisted before a final state is reported, as arguments of SET; None if nothing."""
        job_id, status = self.submission.job_id, _status(self)
        if status is JobStatus.CANCELLED and self.cancellation and self.cancellation.stopping:
            stopped = replace(self.cancellation, stopping=False).to_text()
            return {"name": keys.cancel(job_id), "value": stopped, "xx": True, "keepttl": True}
        if status is JobStatus.FAILED and self.problem is None:
            why = _error(self).model_dump_json()
            return {"name": keys.problem(job_id), "value": why, "nx": True, "ex": FAILURE_TTL}
        return None


def read_job(redis: Redis, job_id: str) -> Reading | None:
    """Reads a job; None if there is no such job, or it has expired."""
    held = _read(redis, job_id)
    if held is not None and (last_word := held.last_word) is not None:
        redis.set(**last_word)
        held = _read(redis, job_id)  # the result may have been committed in the meantime
    return held


async def read_job_async(redis: AsyncRedis, job_id: str) -> Reading | None:
    """Like `read_job`, without blocking the event loop."""
    held = await _read_async(redis, job_id)
    if held is not None and (last_word := held.last_word) is not None:
        await redis.set(**last_word)
        held = await _read_async(redis, job_id)
    return held


def queued_job(submission: Submission) -> Job:
    """Returns the job that was just enqueued, without reading it."""
    record = QueueRecord(JobStatus.QUEUED, attempt=1, started_at=None, ended_at=None)
    progress = Progress(stage=Stage.QUEUED)
    return Reading(submission, None, None, None, None, record, progress, "0-0", timed_out=False).job


def watched_keys(job_id: str) -> list[str]:
    """The keys whose change can start a job or make it final."""
    return [record_key(job_id), keys.certificate(job_id), keys.prediction(job_id), keys.problem(job_id)]


def _read(redis: Redis, job_id: str) -> Reading | None:
    with redis.pipeline(transaction=True) as pipeline:
        _queue_reads(pipeline, job_id)
        return _held(job_id, pipeline.execute())


async def _read_async(redis: AsyncRedis, job_id: str) -> Reading | None:
    async with redis.pipeline(transaction=True) as pipeline:
        _queue_reads(pipeline, job_id)
        return _held(job_id, await pipeline.execute())


def _queue_reads(pipeline: Any, job_id: str) -> None:
    pipeline.mget(
        keys.submission(job_id),
        keys.certificate(job_id),
        keys.prediction(job_id),
        keys.cancel(job_id),
        keys.problem(job_id),
    )
    pipeline.hgetall(record_key(job_id))
    pipeline.xrevrange(keys.events(job_id), count=1)
    pipeline.xrevrange(results_key(job_id), count=1)


def _held(job_id: str, replies: Sequence[Any]) -> Reading | None:
    (submission, certificate, prediction, cancelled, stored_problem), record, events, results = replies
    if submission is None:
        return None
    position, progress = b"0-0", Progress(stage=Stage.QUEUED)
    if events:
        position, progress = events[0][0], Progress.model_validate_json(events[0][1][b"progress"])
    return Reading(
        submission=Submission.model_validate_json(submission),
        certificate=None if certificate is None else Certificate.model_validate_json(certificate),
        prediction=None if prediction is None else PredictedLabel.model_validate_json(prediction),
        cancellation=None if cancelled is None else Cancellation.from_text(cancelled.decode()),
        problem=None if stored_problem is None else Problem.model_validate_json(stored_problem),
        record=parse_record(job_id, record),
        progress=progress,
        position=position.decode(),
        timed_out=timed_out(job_id, results),
    )


def _derive(held: Reading) -> Job:
    status = _status(held)
    error = _error(held) if status is JobStatus.FAILED else None
    job_id = held.submission.job_id
    return Job(
        id=job_id,
        kind=held.submission.kind,
        status=status,
        model=held.submission.model,
        attempt=held.record.attempt if held.record else 1,
        created_at=held.submission.created_at,
        started_at=held.record.started_at if held.record else None,
        finished_at=_finished_at(held, status),
        progress=_progress(held, status),
        certificate=held.certificate,
        prediction=held.prediction,
        error=error,
        links=Links(
            self=f"/jobs/{job_id}",
            events=f"/jobs/{job_id}/events",
            certificate=f"/certificates/{job_id}" if held.certificate else None,
        ),
    )


def _status(held: Reading) -> JobStatus:
    recorded = held.record.status if held.record else JobStatus.EXPIRED
    if held.answer:
        return JobStatus.SUCCEEDED
    if held.cancellation:
        # A worker may start it despite the flag, but checks the flag first, and the commit is refused.
        stopping = held.cancellation.stopping and recorded is JobStatus.RUNNING
        return JobStatus.RUNNING if stopping else JobStatus.CANCELLED
    if held.problem:
        return JobStatus.FAILED
    # RQ's success without a result is a failure.
    return JobStatus.FAILED if recorded is JobStatus.SUCCEEDED else recorded


def _error(held: Reading) -> Problem:
    if held.problem:
        return held.problem
    if held.record and held.record.status is JobStatus.SUCCEEDED:
        return problem(ProblemCode.INTERNAL_ERROR, "the job ended without a result")
    if held.timed_out:
        return problem(ProblemCode.TIMEOUT, f"the computation took longer than {JOB_TIMEOUT} s")
    attempts = held.record.attempt if held.record else 1
    return problem(ProblemCode.WORKER_LOST, f"its worker died {attempts} times; submit the request again")


def _finished_at(held: Reading, status: JobStatus) -> datetime | None:
    if held.answer:
        return held.answer.created_at
    if status is JobStatus.CANCELLED and held.cancellation:
        return held.cancellation.at
    return held.record.ended_at if held.record and status.final else None


def _progress(held: Reading, status: JobStatus) -> Progress:
    if status is JobStatus.QUEUED:
        return Progress(stage=Stage.QUEUED, total=held.progress.total)
    if held.answer is None:
        return held.progress
    samples = held.answer.compute.samples  # the events expire before the result does
    return Progress(
        stage=Stage.DONE,
        completed=held.progress.completed or samples,
        total=held.progress.total or samples,
        radius_so_far=_own_radius(held.certificate) if held.certificate else None,
    )


def _own_radius(certificate: Certificate) -> float | None:
    """In the noise's own norm; a hybrid has two of them, and its progress tells none."""
    kind = certificate.noise_kind
    return None if kind is NoiseKind.HYBRID else certificate.radius.of(kind)
