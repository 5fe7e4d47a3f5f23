"""Between two batches the engine reports progress, and stops if the job was cancelled or abandoned."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from typing import Final

from redis import Redis

from certifier import Observer
from contract import keys
from contract.certificates import Radius
from contract.choices import Stage
from contract.jobs import Progress
from contract.limits import EVENTS_KEPT, PROGRESS_INTERVAL, RESULT_TTL
from workers.failures import Abandoned, Superseded
from workers.tracing import span

# No event may follow the last one of a job: an attempt that was wrongly presumed dead would write some.
_WRITE: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 'CANCELLED' end
if (redis.call('GET', KEYS[2]) or ARGV[1]) ~= ARGV[1] then return 'SUPERSEDED' end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[2], '*', 'progress', ARGV[3])
redis.call('EXPIRE', KEYS[3], ARGV[4])
return 'OK'
"""


class JobProgress(Observer):
    """Progress of one attempt at a job, written to its stream at most every `PROGRESS_INTERVAL` seconds.

    It ends a computation whose answer is no longer wanted.

    Attributes:
        stated: What of a class and its radii may be stated, in the noise's own norm. None: nothing.
    """

    def __init__(self, redis: Redis, job_id: str, connection: Connection, attempt: int = 0) -> None:
        self._redis = redis
        self._job_id = job_id
        self._connection = connection
        self.attempt = attempt
        self._written = 0.0
        self.progress = Progress(stage=Stage.LOADING)
        self.stated: Callable[[int, Radius], float] | None = None

    def stage(self, stage: Stage, total: int) -> None:
        """Begins a stage."""
        self.progress = Progress(stage=stage, total=total)
        self._write()

    def advance(self, completed: int) -> None:
        """Counts votes.

        Raises:
            Abandoned: The relay is gone or the client has cancelled.
            Superseded: A later attempt has begun.
        """
        self._count(completed, None)

    def look(self, completed: int, label: int, radius: Radius) -> None:
        """Counts votes, with the radius that may be stated if these are all.

        Raises:
            Abandoned: The relay is gone or the client has cancelled.
            Superseded: A later attempt has begun.
        """
        self._count(completed, None if self.stated is None else self.stated(label, radius))

    def _count(self, completed: int, radius: float | None) -> None:
        # A relay never sends a second message: readable means closed.
        if self._connection.poll():
            raise Abandoned(self._job_id)
        grown = radius is not None and radius != self.progress.radius_so_far
        self.progress = self.progress.model_copy(
            update={"completed": completed, "radius_so_far": radius if grown else self.progress.radius_so_far}
        )
        if grown or time.monotonic() - self._written >= PROGRESS_INTERVAL:
            self._write()

    def span(self, name: str) -> AbstractContextManager[object]:
        """A span of this name for tracing, if that is on."""
        return span(name)

    def _write(self) -> None:
        names = (keys.cancel(self._job_id), keys.attempt(self._job_id), keys.events(self._job_id))
        event = self.progress.model_dump_json()
        reply = self._redis.eval(_WRITE, len(names), *names, self.attempt, EVENTS_KEPT, event, RESULT_TTL)
        self._written = time.monotonic()
        if reply == b"CANCELLED":
            raise Abandoned(self._job_id)
        if reply == b"SUPERSEDED":
            raise Superseded(self._job_id)
