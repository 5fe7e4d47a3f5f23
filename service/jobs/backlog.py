"""How much waits, and how long that will take: what a client is told that comes too early."""

import math
from typing import Any, Final

from redis import Redis, exceptions

from contract.choices import ProblemCode
from contract.limits import MAX_RETRY_AFTER
from contract.problems import ProblemError, refusal
from service.jobs.queue import read_job_seconds
from service.problems import RETRY_AFTER

_JOBS: Final = 20  # of which the mean is taken: recent ones, so that it follows what is asked for now
_UNKNOWN_SECONDS: Final = 5.0  # of a job, before any has finished


def mean_job_seconds(redis: Redis) -> float:
    """Returns how long the last jobs took to compute, on average.

    RQ's own records tell, so nobody has to keep a count; they are read only when somebody is refused.
    """
    seconds = read_job_seconds(redis, _JOBS)
    return sum(seconds) / len(seconds) if seconds else _UNKNOWN_SECONDS


def drain_seconds(waiting: int, mean_seconds: float, engines: int) -> int:
    """Returns how long what waits will take, in whole seconds from 1 to 3600.

    >>> drain_seconds(1000, 0.25, 2), drain_seconds(1, 0.01, 4), drain_seconds(1000, 60, 0)
    (125, 1, 3600)
    """
    return max(1, min(MAX_RETRY_AFTER, math.ceil(waiting * mean_seconds / max(1, engines))))


def queue_full(waiting: int, cap: int, mean_seconds: float, engines: int) -> ProblemError:
    """Makes the refusal of a job for which there is no place."""
    seconds = drain_seconds(waiting, mean_seconds, engines)
    detail = f"<= {cap} jobs may wait, and {waiting} do; at the present pace they take about {seconds} s"
    return refusal(ProblemCode.QUEUE_FULL, detail, headers={"Retry-After": str(seconds)})


def read_store_fill(redis: Redis) -> float:
    """Returns the part of Redis' ``maxmemory`` that is used; 0 if there is no limit or it is not told."""
    try:
        memory: Any = redis.info("memory")
    except exceptions.ResponseError:
        return 0.0
    most = memory.get("maxmemory", 0)
    return float(memory["used_memory"] / most) if most else 0.0


def require_room(fill: float, most: float) -> None:
    """Refuses a job whose answer might find no room.

    Raises:
        ProblemError: The store is filled beyond ``most``.
    """
    if fill > most:
        detail = (
            f"Redis is filled to {fill:.0%} of its 'maxmemory', and jobs are taken up to {most:.0%}: "
            "the rest is for the answers of those that wait"
        )
        raise refusal(ProblemCode.STORE_UNAVAILABLE, detail, headers=RETRY_AFTER)
