"""The one queue, and its jobs: RQ runs any function that a job in Redis names, ours are two.

A client of Redis could otherwise name ``subprocess.check_output``; the JSON serializer alone does not prevent
that. Callbacks and webhooks are dotted names and addresses from Redis as well: they are ignored.
"""

from collections.abc import Callable
from typing import Any, Self

from redis import Redis
from redis import exceptions as redis_errors
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from contract.keys import QUEUE, TASKS
from contract.limits import FAILURE_TTL
from workers.failures import WorkerError


class ForbiddenTask(WorkerError):
    """A job names a function that is none of ours."""


class AllowedJob(Job):
    """An RQ job that can only be one of `contract.keys.TASKS`."""

    @classmethod
    def fetch(cls, id: str, connection: Redis | None = None, serializer: Any = None) -> Self:  # noqa: A002 (RQ's)
        """Reads a job; RQ's worker would end itself over a record that it cannot read.

        Raises:
            NoSuchJobError: There is none, or its record cannot be read.
        """
        try:
            found = super().fetch(id, connection=connection, serializer=serializer)
        except (NoSuchJobError, redis_errors.ConnectionError, redis_errors.TimeoutError):
            raise
        except Exception as error:  # RQ's parser raises what it meets
            if isinstance(error, redis_errors.ResponseError) and not str(error).startswith("WRONGTYPE"):
                raise
            raise NoSuchJobError(f"the record of {id!r} cannot be read") from error
        assert isinstance(found, cls)  # noqa: S101 (RQ makes one of the class that it is called on)
        if found.failure_ttl is None:  # not one of ours, and RQ would keep its failure for a year
            found.failure_ttl = FAILURE_TTL
        return found

    @property
    def func(self) -> Callable[..., Any]:
        """The task, if it is allowed.

        Raises:
            ForbiddenTask: For any other function.
        """
        if self.func_name not in TASKS or self.instance is not None:
            raise ForbiddenTask(f"task must be one of {sorted(TASKS)}, got {self.func_name!r}")
        allowed: Callable[..., Any] = super().func
        return allowed

    # Never called: RQ would import what a client of Redis names.
    success_callback = failure_callback = stopped_callback = property(lambda _: None)

    def to_dict(self, include_meta: bool = True, include_result: bool = True) -> dict[str, Any]:
        """Returns what RQ saves, without the beginning, which stands since RQ prepared the attempt.

        RQ's relay and worker both take the time once more afterwards and would write theirs when the job
        ends: a client that reads the answer before and after that would see the job begin twice.
        """
        record: dict[str, Any] = super().to_dict(include_meta, include_result)
        del record["started_at"]
        return record

    def send_webhooks(self, *args: Any, **kwargs: Any) -> None:
        """Sends nothing."""


def open_queue(connection: Redis) -> Queue:
    """Returns the one queue, of such jobs. RQ would lose jobs of a worker that listens to several."""
    return Queue(QUEUE, connection=connection, serializer=JSONSerializer, job_class=AllowedJob)
