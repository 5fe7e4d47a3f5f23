"""A process that is started again when it dies, and that ends with its parent.

What its exit code says, and what its parent does then:

===========  ====  ============  ==============================  ==================================
name         code  of            because                         its parent
===========  ====  ============  ==============================  ==================================
(none)       0     all           it was asked to end             starts another, unless it asked
GAVE_UP      3     supervisor    a part of it keeps dying        gives up, too
GROWN        10    engine        it takes too much memory        starts another
JOBS_DONE    11    engine        it has had its share of jobs    starts another
DEVICE_LOST  12    engine        its GPU needs a new process     starts another
EX_TEMPFAIL  75    queue worker  Redis was lost                  starts another
(others)           all           it was killed, or an error      starts another; gives up after five
                                                                 deaths in a row, soon after starts
===========  ====  ============  ==============================  ==================================
"""

import os
import subprocess
import time
from collections.abc import Mapping
from enum import IntEnum
from typing import IO, Final

import structlog

from workers.failures import WorkerError

log = structlog.get_logger()

_FAST_DEATHS: Final = 5  # in a row; then the fault is not a job's, and starting it again is no use
_FAST_SECONDS: Final = 30.0  # importing torch and failing takes ten on a busy machine


class Exit(IntEnum):
    """Codes of our own; the module's table says what each means."""

    GAVE_UP = 3
    GROWN = 10
    JOBS_DONE = 11
    DEVICE_LOST = 12


# As they stand in logs and in `radii_worker_restarts`.
REASONS: Final[Mapping[int, str]] = {
    Exit.GROWN: "memory",
    Exit.JOBS_DONE: "jobs",
    Exit.DEVICE_LOST: "device",
}
PLANNED: Final = frozenset({Exit.GROWN, Exit.JOBS_DONE})


class KeepsDying(WorkerError):
    """A child dies as often as it is started."""


class Child:
    """A child process.

    It holds the write end of the child's standard input, so that the child can end with this process:
    `workers.process.liveness.lifeline`.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        environment: Mapping[str, str],
        log_file: IO[str] | None = None,
    ) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._log_file = log_file
        self._started = 0.0
        self._fast_deaths = 0
        self._asked = False
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        self._started = time.monotonic()
        self._asked = False
        # A session of its own: Ctrl-C in a terminal reaches this process alone, which stops all in order.
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=self._log_file,
            stderr=self._log_file,
            env=self._environment,
            start_new_session=True,
        )

    def came_up(self) -> bool:
        """Whether this process got as far as serving: what kills it then is no fault of its start."""
        return False

    def keep_running(self) -> int | None:
        """Starts the process again if it has died.

        Returns:
            The exit code that it died with; None if it runs.

        Raises:
            KeepsDying: It gave up, or dies as often as it is started. It is not started again.
        """
        code = self.process.poll()
        if code is None:
            return None
        lived = round(time.monotonic() - self._started, 1)
        self._close_lifeline()
        if code in PLANNED:
            log.info("process replaced", child=self.name, reason=REASONS[code], lived=lived)
        else:
            log.error("process died", child=self.name, code=code, lived=lived)
            self._count_death(code, lived)
        self.process = self._start()
        return code

    def _count_death(self, code: int, lived: float) -> None:
        if code == Exit.GAVE_UP:
            raise KeepsDying(f"the {self.name} gave up: what it runs keeps dying")
        if code != os.EX_TEMPFAIL:  # an outage of Redis is no fault of the child
            fast = lived < _FAST_SECONDS and not self.came_up()
            self._fast_deaths = self._fast_deaths + 1 if fast else 0
        if self._fast_deaths >= _FAST_DEATHS:
            raise KeepsDying(
                f"the {self.name} died {_FAST_DEATHS} times within {_FAST_SECONDS:g} s of its start"
            )

    def _close_lifeline(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()

    def ask(self) -> None:
        """Asks the process to end; once, since a second signal makes it drop the running job."""
        if self.process.poll() is None and not self._asked:
            self.process.terminate()
        self._asked = True

    def kill(self) -> None:
        """Ends the process at once, and waits until it has ended."""
        self.process.kill()
        self.process.wait()

    def stop(self, grace: float) -> None:
        """Asks the process to end if that was not done yet, waits ``grace`` seconds, then kills it."""
        self.ask()
        try:
            self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()
        self._close_lifeline()
