"""What a job is, derived from what Redis holds of it. No second copy of its state is kept.

The answer's key decides first, then RQ's record, then what was left behind when that expired. All of it is
read in one transaction: read one after the other, a job that finishes in between would look lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis import Redis

from contract import keys
from contract.certificates import Certificate, Prediction
from contract.choices import JobStatus, NoiseKind, ProblemCode, Stage
from contract.jobs import Job, Links, Progress, Submission
from contract.limits import JOB_TIMEOUT
from contract.problems import Problem, problem
from service.job_queue import QueueRecord, QueueState, parse_record, record_key, results_key, timed_out
from service.resources import Resources


@dataclass(frozen=True)
class Reading:
    """A job, and the id of the last event that it takes into account."""

    job: Job
    position: str


@dataclass(frozen=True)
class _Held:
    """What Redis holds of a job."""

    submission: Submission
    certificate: Certificate | None
    prediction: Prediction | None
    cancelled_at: datetime | None
    problem: Problem | None
    record: QueueRecord | None
    progress: Progress
    position: str
    timed_out: bool

    @property
    def answer(self) -> Certificate | Prediction | None:
        return self.certificate or self.prediction


def read_job(redis: Redis, job_id: str) -> Reading | None:
    """Reads a job; nothing when no such id was given out, or so long ago that it is forgotten."""
    with redis.pipeline(transaction=True) as pipeline:
        _queue_reads(pipeline, job_id)
        return _reading(redis, job_id, pipeline.execute())


async def read_job_async(resources: Resources, job_id: str) -> Reading | None:
    """As `read_job`, without blocking the event loop."""
    async with resources.redis_async.pipeline(transaction=True) as pipeline:
        _queue_reads(pipeline, job_id)
        return _reading(resources.redis, job_id, await pipeline.execute())


def queued_job(submission: Submission) -> Job:
    """Returns the job that was enqueued just now, as it was then."""
    record = QueueRecord(QueueState.WAITING, attempt=1, started_at=None, ended_at=None)
    progress = Progress(stage=Stage.QUEUED)
    return _derive(_Held(submission, None, None, None, None, record, progress, "0-0", timed_out=False))


def watched_keys(job_id: str) -> list[str]:
    """The keys whose change can make a job final."""
    return [record_key(job_id), keys.certificate(job_id), keys.prediction(job_id), keys.problem(job_id)]


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


def _reading(redis: Redis, job_id: str, replies: Sequence[Any]) -> Reading | None:
    (submission, certificate, prediction, cancelled_at, stored_problem), record, events, results = replies
    if submission is None:
        return None
    position, progress = b"0-0", Progress(stage=Stage.QUEUED)
    if events:
        position, progress = events[0][0], Progress.model_validate_json(events[0][1][b"progress"])
    held = _Held(
        submission=Submission.model_validate_json(submission),
        certificate=None if certificate is None else Certificate.model_validate_json(certificate),
        prediction=None if prediction is None else Prediction.model_validate_json(prediction),
        cancelled_at=None if cancelled_at is None else datetime.fromisoformat(cancelled_at.decode()),
        problem=None if stored_problem is None else Problem.model_validate_json(stored_problem),
        record=parse_record(redis, job_id, record),
        progress=progress,
        position=position.decode(),
        timed_out=timed_out(redis, job_id, results),
    )
    return Reading(_derive(held), held.position)


def _derive(held: _Held) -> Job:
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


def _status(held: _Held) -> JobStatus:
    state = held.record.state if held.record else None
    if held.answer:
        return JobStatus.SUCCEEDED
    if state is QueueState.WAITING:
        # It may still be popped, but its worker looks for the flag first and the commit refuses it.
        return JobStatus.CANCELLED if held.cancelled_at else JobStatus.QUEUED
    if state is QueueState.STARTED:
        return JobStatus.RUNNING
    if held.problem:
        return JobStatus.FAILED
    if held.cancelled_at or state is QueueState.STOPPED:
        return JobStatus.CANCELLED
    return JobStatus.FAILED if state else JobStatus.EXPIRED


def _error(held: _Held) -> Problem:
    if held.problem:
        return held.problem
    if held.record and held.record.state is QueueState.FINISHED:
        return problem(ProblemCode.INTERNAL_ERROR, "the job ended without an answer")
    if held.timed_out:
        return problem(ProblemCode.TIMEOUT, f"the computation took longer than {JOB_TIMEOUT} s")
    attempts = held.record.attempt if held.record else 1
    return problem(
        ProblemCode.WORKER_LOST, f"the job was lost with its worker, {attempts} times; send it again"
    )


def _finished_at(held: _Held, status: JobStatus) -> datetime | None:
    if held.answer:
        return held.answer.created_at
    if status is JobStatus.CANCELLED and held.cancelled_at:
        return held.cancelled_at
    return held.record.ended_at if held.record and status.final else None


def _progress(held: _Held, status: JobStatus) -> Progress:
    if status is JobStatus.QUEUED:
        return Progress(stage=Stage.QUEUED, total=held.progress.total)
    if held.answer is None:
        return held.progress
    samples = held.answer.compute.samples  # the events expire before the answer does
    return Progress(
        stage=Stage.DONE,
        completed=held.progress.completed or samples,
        total=held.progress.total or samples,
        radius_so_far=_own_radius(held.certificate) if held.certificate else None,
    )


def _own_radius(certificate: Certificate) -> float | None:
    """In the noise's own norm; a hybrid has two of them, and its progress tells none."""
    kinds = [evidence.noise for evidence in certificate.noise]
    if len(kinds) > 1:
        return None
    return certificate.radius.l1 if kinds == [NoiseKind.UNIFORM] else certificate.radius.l2
