"""What is used of RQ, and not documented by it: a test for each name, key and behaviour.

An upgrade of RQ that changes one of them fails here first, by name. `pyproject.toml` pins the minor version.
"""

import inspect
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import rq
from redis import Redis
from rq import Queue, SimpleWorker, Worker, get_current_job
from rq.executions import Execution, ExecutionRegistry
from rq.job import Job, JobStatus
from rq.registry import BaseRegistry, FailedJobRegistry, FinishedJobRegistry
from rq.results import Result
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty
from rq.utils import now
from rq.worker_registration import clean_worker_registry

from contract import keys
from service.jobs import queue as api_queue
from workers.process.rq import reaper
from workers.process.rq.allowed_job import AllowedJob, open_queue
from workers.process.rq.queue_worker import QueueWorker, make_worker
from workers.settings import RQ_RECORD_SECONDS, WorkerTiming

JOB = "c" * 32
ROOT = Path(__file__).parents[4]
TIMING = WorkerTiming(job_monitoring_seconds=1, silent_seconds=3)


@pytest.fixture
def queue(redis: Redis) -> Queue:
    return open_queue(redis)


def enqueue(queue: Queue, **options: Any) -> Job:
    return queue.enqueue(keys.CERTIFY_TASK, args=[{}], job_id=JOB, **options)


def begin(redis: Redis, queue: Queue) -> QueueWorker:
    """Takes a job and begins it, as a worker does right before it forks and its fork right after."""
    worker = make_worker(redis, TIMING)
    taken = Queue.dequeue_any([queue], 1, redis, job_class=AllowedJob, serializer=JSONSerializer)
    assert taken is not None
    worker.prepare_execution(taken[0])
    worker.prepare_job_execution(taken[0], remove_from_intermediate_queue=True)
    return worker


def test_the_version_is_the_one_that_was_read() -> None:
    assert rq.__version__.startswith("2.12.")


def test_no_other_module_knows_rq() -> None:
    """So that this page is complete."""
    packages = ("contract", "service", "workers", "certifier", "evaluation", "radii")
    knowing = {
        str(path.relative_to(ROOT))
        for package in packages
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"^\s*(from|import) rq\b", path.read_text(), flags=re.MULTILINE)
    }
    room = {f"workers/process/rq/{name}.py" for name in ("allowed_job", "attempt", "queue_worker", "reaper")}
    assert knowing == {"service/jobs/queue.py", *room}


# Names that are overridden.


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (
            QueueWorker,
            Worker,
            {
                "clean_registries": "self",
                "maintain_heartbeats": "self, job",
                "set_current_job_working_time": "self, current_job_working_time, pipeline",
                "request_stop": "self, signum, frame",
            },
        ),
        (
            AllowedJob,
            Job,
            {
                "fetch": "id, connection, serializer",
                "func": "self",
                "success_callback": "self",
                "failure_callback": "self",
                "stopped_callback": "self",
                "to_dict": "self, include_meta, include_result",
                "send_webhooks": "self, status, exc_string",
            },
        ),
    ],
    ids=["QueueWorker", "AllowedJob"],
)
def test_overridden_members_are_those_of_rq(ours: type, theirs: type, expected: dict[str, str]) -> None:
    """Each is there, of the same kind and with the parameters that ours takes; and there is no other."""
    overridden = {name for name in vars(ours) if hasattr(theirs, name) and not name.startswith("__")}
    assert overridden == set(expected)
    for name, parameters in expected.items():
        there, here = inspect.getattr_static(theirs, name), inspect.getattr_static(ours, name)
        assert type(there) is type(here), name
        theirs_takes = inspect.signature(there.fget if isinstance(there, property) else getattr(theirs, name))
        assert ", ".join(theirs_takes.parameters) == parameters, name


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (Job._handle_failure, ["self", "exc_string", "pipeline"]),
        (Job.retry, ["self", "queue", "pipeline"]),
        (Job.restore, ["self", "raw_data"]),
        (Job.get_status, ["self", "refresh"]),
        (Job.set_status, ["self", "status", "pipeline"]),
        (Result.restore, ["job_id", "result_id", "payload", "connection", "serializer"]),
        (
            Queue.enqueue_call,
            ["self", "func", "args", "kwargs", "timeout", "result_ttl", "ttl", "failure_ttl"],
        ),
        (clean_worker_registry, ["queue"]),
        (Worker.kill_horse, ["self", "sig"]),
    ],
    ids=lambda value: value.__qualname__ if callable(value) else "",
)
def test_functions_that_are_called_take_what_they_are_given(
    function: Callable[..., object], parameters: list[str]
) -> None:
    """Further ones have defaults."""
    taken = inspect.signature(function).parameters
    assert list(taken)[: len(parameters)] == parameters
    further = list(taken.values())[len(parameters) :]
    assert all(one.default is not one.empty or one.kind is one.VAR_KEYWORD for one in further)


# Keys.


def test_keys_of_the_queue(queue: Queue) -> None:
    """KEDA's manifest and the reaper name them."""
    assert queue.key == f"rq:queue:{keys.QUEUE}"
    assert queue.intermediate_queue_key == f"rq:queue:{keys.QUEUE}:intermediate"
    assert queue.started_job_registry.key == f"rq:wip:{keys.QUEUE}"


def test_keys_of_a_job(redis: Redis) -> None:
    """As the reaper spells them, in bytes, and as the API reads them."""
    execution = Execution("e", JOB, connection=redis)
    assert reaper._record(JOB.encode()).decode() == Job.key_for(JOB) == api_queue.record_key(JOB)
    assert reaper._execution(f"{JOB}:e".encode()).decode() == execution.key
    assert reaper._executions(JOB.encode()).decode() == ExecutionRegistry.key_template.format(JOB)
    assert api_queue.results_key(JOB) == f"rq:results:{JOB}"


def test_keys_of_workers(redis: Redis, queue: Queue) -> None:
    """A worker that has died is in them until it is cleaned away."""
    worker = make_worker(redis, TIMING)
    worker.register_birth()
    assert worker.key == f"rq:worker:{worker.name}"
    assert redis.smembers("rq:workers") == redis.smembers(f"rq:workers:{keys.QUEUE}") == {worker.key.encode()}
    redis.delete(worker.key)
    clean_worker_registry(queue)
    assert not redis.exists("rq:workers", f"rq:workers:{keys.QUEUE}")


@pytest.mark.parametrize("registry", [FinishedJobRegistry, FailedJobRegistry])
def test_registries_are_cleaned_by_their_score(
    redis: Redis, queue: Queue, registry: type[BaseRegistry]
) -> None:
    """What has ended has a time in them, after which it is dropped."""
    held = registry(queue=queue)
    redis.zadd(held.key, {"over": 1, "kept": time.time() + 60})
    held.cleanup()
    assert redis.zrange(held.key, 0, -1) == [b"kept"]


# What lies where, and for how long.


def test_a_taken_job_is_on_the_intermediate_list_until_it_is_begun(redis: Redis, queue: Queue) -> None:
    """So none is lost between the two."""
    job = enqueue(queue)
    assert Queue.dequeue_any([queue], 1, redis, job_class=AllowedJob, serializer=JSONSerializer) is not None
    assert redis.lrange(queue.intermediate_queue_key, 0, -1) == [JOB.encode()]
    assert job.get_status() is JobStatus.QUEUED
    worker = make_worker(redis, TIMING)
    worker.prepare_execution(job)
    worker.prepare_job_execution(job, remove_from_intermediate_queue=True)
    assert redis.lrange(queue.intermediate_queue_key, 0, -1) == []
    assert job.get_status() is JobStatus.STARTED


def test_a_begun_attempt_is_registered_as_job_and_execution(redis: Redis, queue: Queue) -> None:
    """And a report sets the lifetime of its record, by which the reaper knows when that was."""
    job = enqueue(queue)
    worker = begin(redis, queue)
    assert worker.execution is not None
    attempt = f"{JOB}:{worker.execution.id}"
    assert redis.zrange(queue.started_job_registry.key, 0, -1) == [attempt.encode()]
    assert redis.zrange(f"rq:executions:{JOB}", 0, -1) == [worker.execution.id.encode()]
    lifetime = TIMING.job_monitoring_seconds + RQ_RECORD_SECONDS
    assert lifetime - 1 <= redis.ttl(worker.execution.key) <= lifetime
    redis.expire(worker.execution.key, 10)
    worker.maintain_heartbeats(job)
    assert lifetime - 1 <= redis.ttl(worker.execution.key) <= lifetime


def test_an_idle_worker_is_known_for_a_minute_longer_than_it_waits(redis: Redis) -> None:
    """It reports before it waits for a job, and waits a quarter of a minute less than its time to live."""
    worker = make_worker(redis, WorkerTiming())
    worker.register_birth()
    worker.heartbeat()
    assert redis.ttl(worker.key) == WorkerTiming().worker_ttl_seconds + 60
    assert worker.dequeue_timeout == WorkerTiming().worker_ttl_seconds - 15


def test_monitoring_takes_whole_seconds() -> None:
    """RQ waits by ``alarm``, which is why the setting is an integer."""
    with pytest.raises(TypeError), UnixSignalDeathPenalty(0.5):
        pass
    signal.alarm(0)


# What RQ does.


def test_maintenance_is_begun_by_the_time_of_the_last(redis: Redis) -> None:
    """Else RQ's own would run at every turn; the override notes the time and does nothing."""
    worker = make_worker(redis, TIMING)
    assert worker.should_run_maintenance_tasks
    worker.run_maintenance_tasks()
    assert not worker.should_run_maintenance_tasks
    assert not redis.exists(worker.queues[0].registry_cleaning_key)
    worker.last_cleaned_at = now() - timedelta(hours=1)  # type: ignore[assignment]  # RQ declares it None
    assert worker.should_run_maintenance_tasks


def test_enqueueing_in_a_pipeline_only_collects_commands(redis: Redis, queue: Queue) -> None:
    """Commands of one key each, so that a script can send them later; all in the pipeline, none at once."""
    with redis.pipeline(transaction=True) as pipeline:
        queue.enqueue_call(keys.CERTIFY_TASK, args=[{}], job_id=JOB, pipeline=pipeline)
        commands = [command for command, _ in pipeline.command_stack]
    assert {command[0] for command in commands} >= {"HSET", "RPUSH"}
    assert redis.keys("*") == []
    for command in commands:
        redis.execute_command(*command)
    fetched = queue.fetch_job(JOB)
    assert fetched is not None
    assert (fetched.get_status(), queue.job_ids) == (JobStatus.QUEUED, [JOB])


def fails_for_good() -> None:
    """A task that decides in RQ's fork that there is no further attempt."""
    job = get_current_job()
    assert job is not None
    job.retries_left = None
    raise ValueError("it would repeat")


def test_the_copy_of_the_job_in_the_fork_decides_about_another_attempt(redis: Redis) -> None:
    """The stored count stays as it was, so that the API can tell how many attempts there were."""
    queue = Queue("copies", connection=redis, serializer=JSONSerializer)
    job = queue.enqueue(f"{__name__}.fails_for_good", retry=rq.Retry(max=2))
    SimpleWorker([queue], connection=redis, serializer=JSONSerializer).work(
        burst=True, logging_level="CRITICAL"
    )
    job.refresh()
    assert (job.get_status(), job.retries_left) == (JobStatus.FAILED, 2)


def leaves() -> None:
    """A task whose process ends without an error before RQ can write anything."""
    os._exit(0)


def test_a_fork_that_leaves_with_zero_leaves_no_record(redis: Redis) -> None:
    """As an attempt does that was superseded."""
    queue = Queue("leaving", connection=redis, serializer=JSONSerializer)
    job = queue.enqueue(f"{__name__}.leaves", retry=rq.Retry(max=2))
    Worker([queue], connection=redis, serializer=JSONSerializer).work(burst=True, logging_level="CRITICAL")
    job.refresh()
    assert (job.get_status(), job.retries_left) == (JobStatus.STARTED, 2)
    assert job.latest_result() is None


def is_killed() -> None:
    """A task whose process is killed."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_fork_is_reported_to_the_handler_with_its_job(redis: Redis) -> None:
    """In the queue worker, which counts it."""
    queue = Queue("killing", connection=redis, serializer=JSONSerializer)
    job = queue.enqueue(f"{__name__}.is_killed")
    seen: list[Any] = []

    def handler(job: Job, *details: Any) -> None:
        seen.append((job.id, job.retries_left, len(details)))

    worker = Worker([queue], connection=redis, serializer=JSONSerializer, work_horse_killed_handler=handler)
    worker.work(burst=True, logging_level="CRITICAL")
    assert seen == [(job.id, None, 3)]


def test_retry_puts_the_job_back_and_takes_one_try_off(redis: Redis, queue: Queue) -> None:
    """In the caller's pipeline, with whatever else that writes."""
    job = enqueue(queue, retry=rq.Retry(max=2))
    redis.delete(queue.key)
    assert job.should_retry
    with redis.pipeline() as pipeline:
        job.retry(queue, pipeline)
        assert redis.llen(queue.key) == 0
        pipeline.execute()
    job.refresh()
    assert (job.get_status(), job.retries_left, queue.job_ids) == (JobStatus.QUEUED, 1, [JOB])


def test_handling_a_failure_registers_it_with_its_reason(redis: Redis, queue: Queue) -> None:
    """In the caller's pipeline; the API reads the reason from the last entry of a stream."""
    job = enqueue(queue, failure_ttl=60)
    with redis.pipeline() as pipeline:
        job.set_status(JobStatus.FAILED, pipeline=pipeline)
        job._handle_failure("lost: its worker was silent", pipeline)
        pipeline.execute()
    assert JOB in FailedJobRegistry(queue=queue)
    ((entry, payload),) = redis.xrevrange(api_queue.results_key(JOB), count=1)  # type: ignore[union-attr, misc]
    restored = Result.restore(JOB, entry.decode(), payload, connection=redis, serializer=JSONSerializer)
    assert restored.exc_string == "lost: its worker was silent"


WORK_OFF = """
import sys
from redis import Redis
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

redis = Redis.from_url(sys.argv[1])
queue = Queue("timeouts", connection=redis, serializer=JSONSerializer)
SimpleWorker([queue], connection=redis, serializer=JSONSerializer).work(burst=True, logging_level="CRITICAL")
"""


def test_a_timeout_is_named_in_the_reason(redis: Redis, redis_url: str) -> None:
    """By the class of the exception: nothing else says it.

    RQ's worker has a process of its own here: its alarm and pytest's time limit are the same signal.
    """
    queue = Queue("timeouts", connection=redis, serializer=JSONSerializer)
    job = queue.enqueue("time.sleep", 10, job_timeout=1)
    subprocess.run([sys.executable, "-c", WORK_OFF, redis_url], check=True, timeout=120)
    results: Any = redis.xrevrange(api_queue.results_key(job.id), count=1)
    assert JobTimeoutException.__name__ in (
        Result.restore(
            job.id, results[0][0].decode(), results[0][1], connection=redis, serializer=JSONSerializer
        ).exc_string
        or ""
    )
    assert api_queue.timed_out(job.id, results)


def test_a_record_is_restored_from_its_fields(redis: Redis, queue: Queue) -> None:
    """The API reads the hash with other keys in one transaction, and hands it to RQ."""
    job = enqueue(queue, retry=rq.Retry(max=2))
    other = Job(JOB, connection=redis, serializer=JSONSerializer)
    other.restore(redis.hgetall(job.key))
    assert other.get_status(refresh=False) is JobStatus.QUEUED
    assert (other.retries_left, other.started_at, other.ended_at) == (2, None, None)


def test_every_status_of_rq_is_known_to_the_api() -> None:
    """A new one would fail as a key that is missing."""
    assert set(api_queue._STATUSES) == set(JobStatus)


def test_a_second_signal_within_a_second_is_ignored(redis: Redis) -> None:
    """So the supervisor waits longer before it sends one."""
    worker = make_worker(redis, TIMING)
    worker._shutdown_requested_date = now()
    worker.request_force_stop(signal.SIGTERM, None)
    worker._shutdown_requested_date = now() - timedelta(seconds=1.01)
    with pytest.raises(SystemExit):
        worker.request_force_stop(signal.SIGTERM, None)
