"""RQ runs any function that a job in Redis names. Ours runs two.

Whoever can write to Redis could otherwise name ``subprocess.check_output``; the JSON serializer alone does
not prevent that. Callbacks and webhooks are dotted names and addresses from Redis as well: they are ignored.
"""

from collections.abc import Callable
from typing import Any

from rq.job import Job

from contract.keys import TASKS


class ForbiddenTask(Exception):
    """A job names a function that is not one of ours."""


class AllowedJob(Job):
    """An RQ job that can only be one of `contract.keys.TASKS`."""

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

    @property
    def success_callback(self) -> None:
        """Never called."""
        return

    @property
    def failure_callback(self) -> None:
        """Never called."""
        return

    @property
    def stopped_callback(self) -> None:
        """Never called."""
        return

    def send_webhooks(self, *args: Any, **kwargs: Any) -> None:
        """Sends nothing."""
