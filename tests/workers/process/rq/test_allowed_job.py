"""Only our two tasks run, whatever a job in Redis names."""

import pytest
from redis import Redis
from redis import exceptions as redis_errors
from rq import Queue, SimpleWorker
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from contract import keys
from workers import tasks
from workers.process.rq.allowed_job import AllowedJob, ForbiddenTask


def fetch(redis: Redis, name: str, **options: object) -> AllowedJob:
    """Enqueues as an attacker would, with RQ's own job class, and reads it as a worker does."""
    queue = Queue(keys.QUEUE, connection=redis, serializer=JSONSerializer)
    job = queue.enqueue(name, **options)
    return AllowedJob.fetch(job.id, connection=redis, serializer=JSONSerializer)


@pytest.mark.parametrize(
    "name",
    ["subprocess.check_output", "os.system", "workers.process.rq.attempt.run_in_engine", "builtins.eval"],
)
def test_another_function_is_forbidden(redis: Redis, name: str) -> None:
    """It is refused before it is imported."""
    with pytest.raises(ForbiddenTask, match="task must be one of"):
        _ = fetch(redis, name).func


@pytest.mark.parametrize("record", ["text", {"data": "x", "status": "bogus"}, {"status": "queued"}, {}])
def test_what_cannot_be_read_is_no_job(redis: Redis, record: str | dict[str, str]) -> None:
    """RQ's worker would end itself, and so would the one that is started in its place."""
    if isinstance(record, str):
        redis.set("rq:job:j", record)
    elif record:
        redis.hset("rq:job:j", mapping=record)  # type: ignore[arg-type]
    with pytest.raises(NoSuchJobError):
        AllowedJob.fetch("j", connection=redis, serializer=JSONSerializer)
    with pytest.raises(NoSuchJobError):
        AllowedJob.fetch("no id/", connection=redis, serializer=JSONSerializer)


def test_a_store_that_is_away_is_no_missing_job() -> None:
    """Else a job would be dropped in an outage."""
    with Redis(port=1) as nobody, pytest.raises(redis_errors.ConnectionError):
        AllowedJob.fetch("j", connection=nobody, serializer=JSONSerializer)


def test_our_tasks_are_allowed(redis: Redis) -> None:
    """The dotted names lead to the functions."""
    assert fetch(redis, keys.CERTIFY_TASK, args=[{}]).func is tasks.certify
    assert fetch(redis, keys.PREDICT_TASK, args=[{}]).func is tasks.predict


def test_callbacks_are_ignored(redis: Redis) -> None:
    """RQ's own job would import and call them."""
    from rq import Callback

    job = fetch(
        redis, keys.CERTIFY_TASK, args=[{}], on_failure=Callback("os.abort"), on_success=Callback("os.abort")
    )
    assert Job.fetch(job.id, connection=redis, serializer=JSONSerializer)._failure_callback_name == "os.abort"
    assert (job.failure_callback, job.success_callback, job.stopped_callback) == (None, None, None)


def test_a_forbidden_job_fails_and_the_worker_goes_on(redis: Redis) -> None:
    """Its failure is recorded like any other."""
    queue = Queue(keys.QUEUE, connection=redis, serializer=JSONSerializer, job_class=AllowedJob)
    job = queue.enqueue("subprocess.check_output", args=[["true"]])
    worker = SimpleWorker([queue], connection=redis, serializer=JSONSerializer, job_class=AllowedJob)
    worker.work(burst=True, logging_level="CRITICAL")
    assert job.get_status(refresh=True) == "failed"
