"""Waits for a job to end, and streams its events; both end early when the server stops."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import structlog
from fastapi import Request
from fastapi.sse import ServerSentEvent
from redis.asyncio import Redis
from redis.exceptions import RedisError

from contract import keys
from contract.choices import ProblemCode
from contract.jobs import Job
from contract.problems import ProblemError, refusal
from service.edge.callers import is_same_caller
from service.jobs.state import Reading, read_job_async

EVENT_ID: Final = r"^[0-9]{1,19}-[0-9]{1,19}$"  # two 64-bit numbers: any 19 digits are less than 2**64
# An event wakes a waiter at once. A lost worker, a client that left or a stopping server writes none, and is
# noticed this late.
_SLICE_SECONDS: Final = 0.5
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class JobWaiter:
    """Waits for jobs on behalf of requests.

    Attributes:
        redis: A client of the event loop.
        slots: One for each request that may wait at a time.
        stopping: Set when the server stops.
        stream_seconds: Seconds after which a stream of events ends; its client resumes it.
    """

    redis: Redis
    slots: asyncio.Semaphore
    stopping: asyncio.Event
    stream_seconds: float

    async def read(self, job_id: str) -> Reading:
        """Reads a job.

        Raises:
            ProblemError: There is no such job.
        """
        reading = await read_job_async(self.redis, job_id)
        if reading is None:
            raise refusal(ProblemCode.NOT_FOUND, "no such job")
        return reading

    async def wait(self, request: Request, job_id: str, seconds: float) -> Job:
        """Returns the job when it is final, or as it is when the time is up.

        It returns earlier when the client disconnects, its key is revoked or the server stops, and at once
        when no slot is free.
        """
        reading = await self.read(job_id)
        if self.slots.locked():
            return reading.job
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        async with self.slots:
            while not reading.job.status.final and not self.stopping.is_set():
                left = deadline - loop.time()
                if left <= 0 or not _may_go_on(request) or await request.is_disconnected():
                    break
                await self._sleep_until_event(job_id, reading.position, min(left, _SLICE_SECONDS))
                reading = await self.read(job_id)
        return reading.job

    async def follow(self, request: Request, job_id: str, position: str) -> AsyncIterator[ServerSentEvent]:
        """Yields every `progress` event after ``position``, and a `job` event when the job is final.

        It waits for a Redis that does not answer. It ends with an `error` event when the key is revoked or
        the job has expired, and without one when the server stops, the time is up or the key's scopes change:
        the client then resumes from its last event.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.stream_seconds
        while not self.stopping.is_set() and loop.time() < deadline:
            try:
                if not is_same_caller(request):
                    return
                # State before events: an event written before the job became final is then never missed.
                reading = await self.read(job_id)
                events: Any = await self.redis.xrange(keys.events(job_id), min=f"({position}")
            except RedisError as error:
                _log.warning("store_unavailable", error=str(error))
                await asyncio.sleep(_SLICE_SECONDS)
                continue
            except ProblemError as error:
                yield ServerSentEvent(event="error", raw_data=error.problem.model_dump_json())
                return
            for entry, fields in events:
                position = entry.decode()
                yield ServerSentEvent(event="progress", id=position, raw_data=fields[b"progress"].decode())
            if reading.job.status.final:
                yield ServerSentEvent(event="job", raw_data=reading.job.model_dump_json())
                return
            with suppress(RedisError):  # the next read of the job meets it again, and logs it
                await self._sleep_until_event(job_id, position, _SLICE_SECONDS)

    async def _sleep_until_event(self, job_id: str, position: str, seconds: float) -> None:
        milliseconds = max(1, int(seconds * 1000))
        await self.redis.xread({keys.events(job_id): position}, count=1, block=milliseconds)


def _may_go_on(request: Request) -> bool:
    try:
        return is_same_caller(request)
    except ProblemError:
        return False  # the client's next request is refused, and says why
