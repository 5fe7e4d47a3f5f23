"""Following a job: until it is final, or event by event."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, cast

import structlog
from fastapi import Request
from redis.exceptions import RedisError

from contract import keys
from contract.choices import ProblemCode
from contract.jobs import Job
from contract.problems import Problem, ProblemError, refusal
from service.edge.access import is_same_caller
from service.jobs.state import Reading, read_job_async
from service.resources import Resources

EVENT_ID: Final = r"^[0-9]{1,19}-[0-9]{1,19}$"  # any 19 digits are less than 2**64
# How soon a lost worker, a client that is gone or a stopping server is noticed; events wake a waiter at once.
_SLICE_SECONDS: Final = 0.5
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Event:
    """One entry of a job's stream."""

    id: str
    progress: str


async def require_reading(resources: Resources, job_id: str) -> Reading:
    """Reads a job.

    Raises:
        ProblemError: No such id was given out.
    """
    reading = await read_job_async(resources, job_id)
    if reading is None:
        raise refusal(ProblemCode.NOT_FOUND, "no such job")
    return reading


async def wait_until_final(resources: Resources, request: Request, job_id: str, seconds: float) -> Job:
    """Returns the job when it is final, or as it is when the time is up.

    It waits no longer when the client is gone, its key is revoked or the server is stopping, and not at all
    when as many requests wait as may.
    """
    reading = await require_reading(resources, job_id)
    if resources.waiters.locked():
        return reading.job
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    async with resources.waiters:
        while not reading.job.status.final and not resources.stopping.is_set():
            left = deadline - loop.time()
            if left <= 0 or not _goes_on(request) or await request.is_disconnected():
                break
            await _sleep_until_event(resources, job_id, reading.position, min(left, _SLICE_SECONDS))
            reading = await require_reading(resources, job_id)
    return reading.job


async def follow(
    resources: Resources, request: Request, job_id: str, position: str
) -> AsyncIterator[Event | Job | Problem | None]:
    """Yields every event after ``position``, nothing now and then, and the job when it is final.

    A store that is away is waited for. A key that is revoked ends it with the problem, and so does a job that
    is forgotten. A stopping server ends it early, and so do its time and a change of the key's scopes; the
    client then asks again from its last event.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + resources.settings.stream_seconds
    while not resources.stopping.is_set() and loop.time() < deadline:
        try:
            if not is_same_caller(request):
                return
            # State before events: what is written before a job is final is read after it was seen to be so.
            reading = await require_reading(resources, job_id)
            events = await _events_after(resources, job_id, position)
        except RedisError as error:
            _log.warning("store_unavailable", error=str(error))
            await asyncio.sleep(_SLICE_SECONDS)
            yield None
            continue
        except ProblemError as error:
            yield error.problem
            return
        for event in events:
            position = event.id
            yield event
        if reading.job.status.final:
            yield reading.job
            return
        with suppress(RedisError):  # the next look says so
            await _sleep_until_event(resources, job_id, position, _SLICE_SECONDS)
        yield None


def _goes_on(request: Request) -> bool:
    try:
        return is_same_caller(request)
    except ProblemError:
        return False  # the next request is told


async def _sleep_until_event(resources: Resources, job_id: str, position: str, seconds: float) -> None:
    milliseconds = max(1, int(seconds * 1000))
    await resources.redis_async.xread({keys.events(job_id): position}, count=1, block=milliseconds)


async def _events_after(resources: Resources, job_id: str, position: str) -> list[Event]:
    entries = cast(
        "list[tuple[bytes, dict[bytes, bytes]]]",
        await resources.redis_async.xrange(keys.events(job_id), min=f"({position}"),
    )
    return [Event(entry.decode(), fields[b"progress"].decode()) for entry, fields in entries]


def is_stream_id(value: str) -> bool:
    """Whether a text can be the id of an event: two 64-bit numbers, as ``1700000000000-0``."""
    return re.fullmatch(EVENT_ID, value) is not None
