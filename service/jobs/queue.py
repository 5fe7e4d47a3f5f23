"""The only module of the API that knows RQ: puts tasks on the queue, stops jobs, and reads RQ's records.

The workers' side is `workers.process.rq`. Its ``test_private_names.py`` also tests what this module uses and
RQ does not document.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean
from typing import Any, Final

from redis import Redis
from rq import Queue, Retry
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job
from rq.job import JobStatus as RQStatus
from rq.registry import FinishedJobRegistry
from rq.results import Result
from rq.serializers import JSONSerializer
from rq.utils import str_to_date

from contract import keys
from contract.choices import JobStatus, Stage
from contract.jobs import Progress, Submission
from contract.limits import (
    FAILURE_TTL,
    IMAGE_TTL,
    JOB_TIMEOUT,
    OWNER_TTL,
    QUEUED_TTL,
    RESULT_TTL,
    RETRIES,
    SUBMISSION_TTL,
)
from contract.tasks import Task
from service.jobs.admission import Terms, admit

_RECENT_JOBS: Final = 20  # the mean follows what is submitted now
_UNKNOWN_SECONDS: Final = 5.0  # taken for a job before any has finished
_NO_SERVER: Final = Redis()  # RQ's parsers demand a connection, and never use it


# RQ's statuses, as far as they differ for a client.
_STATUSES: Final[Mapping[RQStatus, JobStatus]] = {
    RQStatus.CREATED: JobStatus.QUEUED,
    RQStatus.QUEUED: JobStatus.QUEUED,
    RQStatus.DEFERRED: JobStatus.QUEUED,
    RQStatus.SCHEDULED: JobStatus.QUEUED,
    RQStatus.STARTED: JobStatus.RUNNING,
    RQStatus.FINISHED: JobStatus.SUCCEEDED,
    RQStatus.FAILED: JobStatus.FAILED,
    RQStatus.STOPPED: JobStatus.CANCELLED,
    RQStatus.CANCELED: JobStatus.CANCELLED,
}


@dataclass(frozen=True)
class QueueRecord:
    """What RQ says of a job.

    Attributes:
        status: Where the job stands.
        attempt: 1, and one more for each time that a worker was lost.
        started_at: When the last attempt began.
        ended_at: When it ended.
    """

    status: JobStatus
    attempt: int
    started_at: datetime | None
    ended_at: datetime | None


def enqueue(redis: Redis, submission: Submission, task: Task, pixels: bytes, terms: Terms) -> str | None:
    """Stores the image and the record of the job, and enqueues the task, all at once or not at all.

    Returns:
        None, or the job that an earlier request with the same idempotency key made.

    Raises:
        QueueFull: As many jobs wait as may.
        ProblemError: The caller's own cap is reached, or its idempotency key stands for another request.
    """
    job_id = submission.job_id
    name = keys.TASK_NAMES[task.kind]
    queue = _queue(redis)
    # The pipeline is never executed: it collects the commands that RQ and we would send, and a script on the
    # server then runs all of them or none. RQ itself cannot enqueue under a condition.
    with redis.pipeline(transaction=True) as pipeline:
        queue.enqueue_call(
            name,
            args=[task.model_dump(mode="json")],
            job_id=job_id,
            timeout=JOB_TIMEOUT,
            ttl=QUEUED_TTL,
            result_ttl=RESULT_TTL,
            failure_ttl=FAILURE_TTL,
            retry=Retry(max=RETRIES),
            description=submission.kind.value,  # RQ's own would put the arguments into the log
            pipeline=pipeline,
        )
        pipeline.set(keys.image(task.image_digest), pixels, ex=IMAGE_TTL)
        pipeline.set(keys.submission(job_id), submission.model_dump_json(), ex=SUBMISSION_TTL)
        pipeline.set(keys.owner(job_id), submission.tenant, ex=OWNER_TTL)
        pipeline.xadd(keys.events(job_id), {"progress": Progress(stage=Stage.QUEUED).model_dump_json()})
        pipeline.expire(keys.events(job_id), SUBMISSION_TTL)
        commands = [command for command, _ in pipeline.command_stack]
    return admit(redis, job_id, queue.key, record_key(""), commands, terms)


def mean_job_seconds(redis: Redis) -> float:
    """Returns how long the jobs that finished last took to compute, on average."""
    finished: Any = redis.zrevrange(
        FinishedJobRegistry(keys.QUEUE, connection=redis).key, 0, _RECENT_JOBS - 1
    )
    with redis.pipeline(transaction=False) as pipeline:
        for job_id in finished:
            pipeline.hmget(record_key(job_id.decode()), "started_at", "ended_at")
        times = [(str_to_date(began), str_to_date(ended)) for began, ended in pipeline.execute()]
    seconds = [(ended - began).total_seconds() for began, ended in times if began and ended]
    return fmean(seconds) if seconds else _UNKNOWN_SECONDS


def stop_job(redis: Redis, job_id: str) -> None:
    """Takes a job off the queue, or asks its worker to stop it.

    Neither is certain: a worker may take the job in between, or miss the command. The cancel flag is certain;
    this only makes it happen sooner. RQ's own `Job.cancel` fails on a job that is just begun or given up.
    """
    with suppress(NoSuchJobError, InvalidJobOperation, ValueError):
        job = Job.fetch(job_id, connection=redis, serializer=JSONSerializer)
        status = _STATUSES[job.get_status(refresh=False)]
        if status is JobStatus.RUNNING:
            send_stop_job_command(redis, job_id, serializer=JSONSerializer)
        elif status is JobStatus.QUEUED and redis.lrem(_queue(redis).key, 1, job_id):
            job.set_status(RQStatus.CANCELED)  # removed by us, so no worker has it


@dataclass(frozen=True)
class QueueSizes:
    """How many jobs are where, and the age of the one that has waited longest.

    Attributes:
        waiting: On the queue.
        taken: Taken by a worker that has not begun them: for longer than a moment only if it died.
        running: Begun; those of a worker that was lost count until RQ gives them up.
        oldest_seconds: Age of the job at the head of the queue; 0 if there is none.
    """

    waiting: int
    taken: int
    running: int
    oldest_seconds: float


def read_sizes(redis: Redis) -> QueueSizes:
    """Returns the sizes of the queue, in constant time.

    RQ's own counts also give up lost jobs, which two readers may do at once. This only reads.
    """
    queue = _queue(redis)
    with redis.pipeline(transaction=False) as pipeline:
        pipeline.llen(queue.key)
        pipeline.llen(queue.intermediate_queue_key)
        pipeline.zcard(queue.started_job_registry.key)
        pipeline.lindex(queue.key, 0)
        pipeline.time()
        waiting, taken, running, first, (seconds, _) = pipeline.execute()
    return QueueSizes(waiting, taken, running, _age(redis, first, seconds))


def taken_jobs(redis: Redis) -> set[str]:
    """Returns the jobs between queue and worker: there for a few milliseconds, unless their worker died."""
    ids: Any = redis.lrange(_queue(redis).intermediate_queue_key, 0, -1)
    return {job_id.decode() for job_id in ids}


def silent_jobs(redis: Redis) -> set[str]:
    """Returns the jobs that were begun and whose workers have not reported for longer than they may."""
    ids: Any = redis.zrangebyscore(_queue(redis).started_job_registry.key, 0, redis.time()[0])
    return {entry.decode().partition(":")[0] for entry in ids}


def _age(redis: Redis, job_id: bytes | None, now: int) -> float:
    """Seconds since a job was submitted, by the server's clock alone: ids of events are its time."""
    if job_id is None:
        return 0.0
    events: Any = redis.xrange(keys.events(job_id.decode()), count=1)
    return max(0.0, now - int(events[0][0].partition(b"-")[0]) / 1000) if events else 0.0


def record_key(job_id: str) -> str:
    """Where RQ keeps its record of a job."""
    return Job.key_for(job_id)


def results_key(job_id: str) -> str:
    """Where RQ keeps how the attempts ended: a stream, of which the last entry counts."""
    return str(Result.get_key(job_id))  # type: ignore[no-untyped-call]


def parse_record(job_id: str, fields: Mapping[Any, Any]) -> QueueRecord | None:
    """Reads RQ's record, or nothing when it has expired or cannot be read."""
    job = Job(job_id, connection=_NO_SERVER, serializer=JSONSerializer)
    try:
        job.restore(fields)
    except Exception:  # RQ's parser raises what it meets, and a client of Redis can write any record
        return None
    retries_left = RETRIES if job.retries_left is None else job.retries_left
    return QueueRecord(
        status=_STATUSES[job.get_status(refresh=False)],
        attempt=1 + RETRIES - retries_left,
        started_at=job.started_at,
        ended_at=job.ended_at,
    )


def timed_out(job_id: str, results: list[tuple[bytes, dict[Any, Any]]]) -> bool:
    """Whether RQ ended the last attempt because it ran out of time."""
    if not results:
        return False
    entry, payload = results[0]
    result = Result.restore(job_id, entry.decode(), payload, connection=_NO_SERVER, serializer=JSONSerializer)
    return "JobTimeoutException" in (result.exc_string or "")


def _queue(redis: Redis) -> Queue:
    return Queue(keys.QUEUE, connection=redis, serializer=JSONSerializer)
