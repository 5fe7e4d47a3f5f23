"""Jobs that a lost worker had taken are tried again; everybody else's are left alone."""

from collections.abc import Callable

import pytest
from redis import Redis
from rq import Queue, Retry
from rq.job import JobStatus
from rq.serializers import JSONSerializer

from contract import keys
from contract.limits import RETRIES
from tests.support.waiting import until
from workers.process.rq.allowed_job import AllowedJob
from workers.process.rq.queue_worker import QueueWorker, make_worker
from workers.process.rq.reaper import Reaper
from workers.settings import WorkerTiming

JOB = "d" * 32
TIMING = WorkerTiming()


@pytest.fixture
def queue(redis: Redis) -> Queue:
    return Queue(keys.QUEUE, connection=redis, serializer=JSONSerializer, job_class=AllowedJob)


@pytest.fixture
def reaper(redis: Redis) -> Reaper:
    return Reaper(redis, TIMING)


@pytest.fixture
def later(redis: Redis) -> Callable[[str, float], None]:
    """Makes whatever the reaper has noted older by so many seconds."""

    def age(key: str, seconds: float) -> None:
        for member, score in redis.zrange(key, 0, -1, withscores=True):  # type: ignore[union-attr]
            redis.zadd(key, {member: score - seconds})

    return age


def enqueue(queue: Queue) -> AllowedJob:
    job = queue.enqueue(keys.CERTIFY_TASK, args=[{}], job_id=JOB, retry=Retry(max=RETRIES), failure_ttl=60)
    assert isinstance(job, AllowedJob)
    return job


def take(redis: Redis, queue: Queue) -> QueueWorker:
    """What a worker does first; it is killed right after."""
    worker = make_worker(redis, TIMING)
    assert Queue.dequeue_any(
        [queue], 1, connection=redis, job_class=AllowedJob, serializer=JSONSerializer
    ) == (
        queue.fetch_job(JOB),
        queue,
    )
    return worker


def begin(redis: Redis, queue: Queue) -> QueueWorker:
    """What a worker and its relay do before the task runs; both are killed right after."""
    worker, job = take(redis, queue), queue.fetch_job(JOB)
    assert job is not None
    worker.prepare_execution(job)
    worker.prepare_job_execution(job, remove_from_intermediate_queue=True)
    return worker


def silence(redis: Redis) -> None:
    """As if the worker had given no sign of life for a minute."""
    for key in redis.scan_iter("rq:execution:*"):
        redis.expire(key, 10)


def queued(redis: Redis, queue: Queue) -> list[bytes]:
    found: list[bytes] = redis.lrange(queue.key, 0, -1)  # type: ignore[assignment]
    return found


def test_what_was_taken_and_not_begun_goes_back(
    redis: Redis, queue: Queue, reaper: Reaper, later: Callable[[str, float], None]
) -> None:
    """Not at once: between the two lie milliseconds in every job."""
    job = enqueue(queue)
    take(redis, queue)
    reaper.search()
    assert queued(redis, queue) == []
    later(keys.TAKEN, TIMING.taken_seconds)
    reaper.search()
    assert queued(redis, queue) == [JOB.encode()]
    assert redis.llen(queue.intermediate_queue_key) == 0
    job.refresh()
    assert (job.get_status(), job.retries_left) == (JobStatus.QUEUED, RETRIES - 1)
    reaper.search()
    assert queued(redis, queue) == [JOB.encode()]
    assert not redis.exists(keys.TAKEN)


def test_what_was_begun_is_left_alone(
    redis: Redis, queue: Queue, reaper: Reaper, later: Callable[[str, float], None]
) -> None:
    """However long it runs, as long as its worker says so."""
    job = enqueue(queue)
    begin(redis, queue)
    for _ in range(3):
        reaper.search()
        later(keys.SILENT, TIMING.silent_grace_seconds)
    assert job.get_status() is JobStatus.STARTED
    assert queued(redis, queue) == []


def test_a_silent_attempt_is_given_up_after_the_grace(
    redis: Redis, queue: Queue, reaper: Reaper, later: Callable[[str, float], None]
) -> None:
    """An outage of the store silences everybody, so silence alone is not enough."""
    job = enqueue(queue)
    begin(redis, queue)
    silence(redis)
    reaper.search()
    assert job.get_status() is JobStatus.STARTED
    later(keys.SILENT, TIMING.silent_grace_seconds)
    reaper.search()
    assert (job.get_status(), queued(redis, queue)) == (JobStatus.QUEUED, [JOB.encode()])
    job.refresh()
    assert job.retries_left == RETRIES - 1
    assert redis.zcard("rq:wip:radii") == 0
    assert list(redis.scan_iter("rq:execution*")) == []
    reaper.search()
    assert queued(redis, queue) == [JOB.encode()]


def test_a_worker_that_speaks_again_keeps_its_job(
    redis: Redis, queue: Queue, reaper: Reaper, later: Callable[[str, float], None]
) -> None:
    job = enqueue(queue)
    worker = begin(redis, queue)
    silence(redis)
    reaper.search()
    worker.maintain_heartbeats(job)
    later(keys.SILENT, TIMING.silent_grace_seconds)
    reaper.search()
    assert job.get_status() is JobStatus.STARTED
    assert not redis.exists(keys.SILENT)


def test_a_finished_job_is_not_tried_again(
    redis: Redis, queue: Queue, reaper: Reaper, later: Callable[[str, float], None]
) -> None:
    """RQ's own maintenance does that to the attempt of a worker that was given up for lost before."""
    job = enqueue(queue)
    begin(redis, queue)
    redis.rpush(queue.intermediate_queue_key, JOB)  # a copy of an earlier attempt
    job.set_status(JobStatus.FINISHED)
    silence(redis)
    for _ in range(2):
        reaper.search()
        later(keys.SILENT, TIMING.silent_grace_seconds)
        later(keys.TAKEN, TIMING.taken_seconds)
    assert job.get_status() is JobStatus.FINISHED
    assert (queued(redis, queue), redis.llen(queue.intermediate_queue_key)) == ([], 0)
    assert redis.zcard("rq:wip:radii") == 0


def test_after_the_last_attempt_the_job_has_failed(
    redis: Redis, queue: Queue, reaper: Reaper, later: Callable[[str, float], None]
) -> None:
    """A job that kills whoever takes it must not go on for ever."""
    job = enqueue(queue)
    for _ in range(RETRIES + 1):
        take(redis, queue)
        reaper.search()
        later(keys.TAKEN, TIMING.taken_seconds)
        reaper.search()
    assert (job.get_status(), queued(redis, queue)) == (JobStatus.FAILED, [])


def test_two_reapers_put_a_job_back_once(
    redis: Redis, queue: Queue, reaper: Reaper, later: Callable[[str, float], None]
) -> None:
    """One may hold the lock for too long."""
    enqueue(queue)
    take(redis, queue)
    reaper.search()
    later(keys.TAKEN, TIMING.taken_seconds)
    other = Reaper(redis, TIMING)
    original = other._fetch

    def fetch(job_id: bytes) -> AllowedJob | None:
        if queued(redis, queue) == []:
            reaper.search()  # in the middle of the other's search
        return original(job_id)

    other._fetch = fetch  # type: ignore[method-assign]
    other.search()
    assert queued(redis, queue) == [JOB.encode()]


@pytest.mark.parametrize("job_id", [b"\xff\xfe", b"a b", b"x" * 300, b"none", b"bogus", b"text"])
def test_garbage_is_dropped(
    redis: Redis, queue: Queue, reaper: Reaper, later: Callable[[str, float], None], job_id: bytes
) -> None:
    """And forgotten some day, if it has a record."""
    redis.hset("rq:job:bogus", mapping={"data": "x", "status": "bogus"})
    redis.set("rq:job:text", "no hash")
    redis.rpush(queue.intermediate_queue_key, job_id)
    reaper.search()
    later(keys.TAKEN, TIMING.taken_seconds)
    reaper.search()
    assert redis.llen(queue.intermediate_queue_key) == 0
    assert job_id not in (b"bogus", b"text") or redis.ttl(b"rq:job:" + job_id) > 0


def test_dead_workers_are_forgotten(redis: Redis, queue: Queue, reaper: Reaper) -> None:
    worker = make_worker(redis, TIMING)
    worker.register_birth()
    redis.delete(worker.key)
    reaper.search()
    assert not redis.exists("rq:workers", "rq:workers:radii")


def test_the_thread_searches_and_outlives_an_outage(redis: Redis, queue: Queue) -> None:
    """Through a server that refuses for a while."""
    redis.rpush(queue.intermediate_queue_key, b"none")
    reaper = Reaper(redis, WorkerTiming(reaper_seconds=0.2))
    redis.config_resetstat()
    redis.config_set("maxmemory", 1)
    reaper.start()
    until(lambda: "errorstat_OOM" in redis.info("errorstats"))
    redis.config_set("maxmemory", 0)
    until(lambda: redis.zcard(keys.TAKEN) == 1)
    reaper.stop()
