"""Puts back on the queue what a lost worker had taken.

RQ's own maintenance runs in idle workers only, keeps its lock for a quarter of an hour when its holder is
killed, stops at the first record that it cannot read, and tries finished jobs again. So this replaces it: a
thread of every supervisor, one of which searches at a time.

A job is with a worker in one of two ways::

    taken     on RQ's intermediate list: taken off the queue, not begun yet (milliseconds)
    running   in RQ's registry of started jobs, with an execution record whose lifetime its worker prolongs

What stays taken, or silent, is tried again; this counts as an attempt. A worker that was only slow finds its
attempt superseded. All times are those of the Redis server.
"""

import threading
from collections.abc import Iterable
from typing import Any, cast

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq.exceptions import NoSuchJobError
from rq.job import JobStatus
from rq.registry import FailedJobRegistry, FinishedJobRegistry
from rq.serializers import JSONSerializer
from rq.worker_registration import clean_worker_registry

from contract import keys
from contract.limits import FAILURE_TTL
from workers.process.rq.allowed_job import AllowedJob, open_queue
from workers.settings import RQ_RECORD_SECONDS, WorkerTiming

log = structlog.get_logger()


class Reaper:
    """Searches for lost jobs every ``reaper_seconds``."""

    def __init__(self, redis: Redis, timing: WorkerTiming) -> None:
        self._redis = redis
        self._timing = timing
        self._queue = open_queue(redis)
        self._taken = self._queue.intermediate_queue_key
        self._running = self._queue.started_job_registry.key
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reaper", daemon=True)

    def start(self) -> None:
        """Searches in a thread from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Begins no further search."""
        self._stopping.set()

    def _run(self) -> None:
        interval = self._timing.reaper_seconds
        while not self._stopping.wait(interval):
            try:
                # The lock expires a little earlier, so that its holder may search again.
                if self._redis.set(keys.REAPER, 1, nx=True, px=int(950 * interval)):
                    self.search()
            except RedisError as error:
                log.warning("lost jobs not searched for", error=type(error).__name__)
            except Exception:
                log.exception("lost jobs not searched for")  # it must outlive anything that lies in Redis

    def search(self) -> None:
        """Looks once at every job that is with a worker."""
        # Two times for silence: in an outage of Redis no worker can report, and all are silent afterwards.
        silent = self._silent()
        for attempt in self._seen_for(self._timing.silent_grace_seconds, silent, keys.SILENT):
            self._give_up(attempt)
        taken = cast("list[bytes]", self._redis.lrange(self._taken, 0, -1))
        for job_id in self._seen_for(self._timing.taken_seconds, set(taken), keys.TAKEN):
            self._return(job_id)
        self._forget()

    def _silent(self) -> set[bytes]:
        """Attempts that were not reported lately, as ``job:execution``."""
        running = cast("list[bytes]", self._redis.zrange(self._running, 0, -1))
        with self._redis.pipeline(transaction=False) as pipeline:
            for attempt in running:
                pipeline.pttl(_execution(attempt))
            left = pipeline.execute()
        # A report sets the record's lifetime, so what is left of that says how long ago it was.
        lifetime = self._timing.job_monitoring_seconds + RQ_RECORD_SECONDS
        least = 1000 * (lifetime - self._timing.silent_seconds)
        return {attempt for attempt, ttl in zip(running, left, strict=True) if ttl < least}

    def _seen_for(self, seconds: float, found: set[bytes], key: str) -> Iterable[bytes]:
        """Notes under ``key`` what was found; returns what every search of the last ``seconds`` has found."""
        server_seconds, microseconds = self._redis.time()
        now = server_seconds + microseconds / 1e6
        noted = cast("list[bytes]", self._redis.zrange(key, 0, -1))
        with self._redis.pipeline(transaction=True) as pipeline:
            if gone := set(noted) - found:
                pipeline.zrem(key, *gone)
            if found:
                pipeline.zadd(key, dict.fromkeys(found, now), nx=True)
            pipeline.zrangebyscore(key, "-inf", now - seconds)
            return cast("list[bytes]", pipeline.execute()[-1])

    def _give_up(self, attempt: bytes) -> None:
        """Ends a silent attempt, and has its job tried again unless that has happened."""
        job_id, _, execution = attempt.rpartition(b":")

        def change(pipeline: Any) -> None:
            job = self._fetch(job_id)
            others = [one for one in pipeline.zrange(self._running, 0, -1) if one != attempt]
            begun_again = any(one.rpartition(b":")[0] == job_id for one in others)
            begun = job is not None and job.get_status(refresh=False) is JobStatus.STARTED
            pipeline.multi()
            pipeline.zrem(self._running, attempt)
            pipeline.zrem(_executions(job_id), execution)
            pipeline.delete(_execution(attempt))
            pipeline.zrem(keys.SILENT, attempt)
            if job is not None and begun and not begun_again:
                self._try_again(pipeline, job, "its worker was silent")

        self._redis.transaction(change, self._running, _record(job_id), _execution(attempt))

    def _return(self, job_id: bytes) -> None:
        """Takes a job off the intermediate list, and has it tried again if it was never begun."""

        def change(pipeline: Any) -> None:
            job = self._fetch(job_id)
            running = {one.rpartition(b":")[0] for one in pipeline.zrange(self._running, 0, -1)}
            waits = job is not None and job.get_status(refresh=False) is JobStatus.QUEUED
            if waits and job_id in running:
                return  # its worker is about to begin it; if it does not, it will be silent
            queued = pipeline.lpos(self._queue.key, job_id) is not None
            pipeline.multi()
            pipeline.lrem(self._taken, 0, job_id)
            pipeline.zrem(keys.TAKEN, job_id)
            if job is None:
                log.error("job refused: its record cannot be read", job=job_id.decode(errors="replace")[:64])
                pipeline.expire(_record(job_id), FAILURE_TTL)
            elif waits and not queued:
                self._try_again(pipeline, job, "its worker was lost before it began")

        self._redis.transaction(change, self._taken, self._running, _record(job_id))

    def _fetch(self, job_id: bytes) -> AllowedJob | None:
        try:
            return AllowedJob.fetch(job_id.decode(), connection=self._redis, serializer=JSONSerializer)
        except (NoSuchJobError, UnicodeDecodeError):
            return None

    def _try_again(self, pipeline: Any, job: AllowedJob, why: str) -> None:
        again = job.should_retry
        log.warning("job lost", job=job.id, why=why, again=again)
        if again:
            job.retry(self._queue, pipeline)
        else:
            job.set_status(JobStatus.FAILED, pipeline=pipeline)
            job._handle_failure(f"lost: {why}", pipeline)

    def _forget(self) -> None:
        """Drops what is over: entries of finished jobs, and of workers that are no more."""
        clean_worker_registry(self._queue)
        for registry in (FinishedJobRegistry, FailedJobRegistry):
            registry(queue=self._queue).cleanup()


# RQ's names of keys. Ids are bytes, since garbage in Redis need not be text.
def _record(job_id: bytes) -> bytes:
    """The record of a job."""
    return b"rq:job:" + job_id


def _execution(attempt: bytes) -> bytes:
    """The record of an attempt, whose lifetime says when its worker reported."""
    return b"rq:execution:" + attempt


def _executions(job_id: bytes) -> bytes:
    """The attempts at a job."""
    return b"rq:executions:" + job_id
