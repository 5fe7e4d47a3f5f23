"""Notices an engine that does not come back from a job that nobody waits for any more.

An engine looks between two batches whether its relay is still there. One that hangs in a kernel, or in a loop
that holds Python's lock, never looks, and none of its threads runs either. So it is watched from outside: it
writes down whose job it works on, and its parent sees whether that relay lives.
"""

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Work:
    """What an engine is at: a job, and the process that waits for its answer."""

    job_id: str
    relay: int


class Busy:
    """A file that is there while an engine works on a job."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "busy"

    def begin(self, work: Work) -> None:
        """Writes down what the engine begins; readers see all of it or nothing."""
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps([work.job_id, work.relay]))
        part.replace(self._file)

    def end(self) -> None:
        """Says that the engine is free."""
        self._file.unlink(missing_ok=True)

    def read(self) -> Work | None:
        """Returns what the engine is at, or None."""
        try:
            return Work(*json.loads(self._file.read_text()))
        except FileNotFoundError:
            return None


class Watchdog:
    """Asked every now and then by the engine's parent."""

    def __init__(self, busy: Busy, patience: float) -> None:
        self._busy = busy
        self._patience = patience
        self._abandoned: Work | None = None
        self._since = 0.0

    def hung(self) -> Work | None:
        """Returns the work that the engine has not left ``patience`` seconds after its relay was gone."""
        work = self._busy.read()
        if work is None or is_running(work.relay):
            self._abandoned = None
            return None
        now = time.monotonic()
        if work != self._abandoned:
            self._abandoned, self._since = work, now
        return work if now - self._since > self._patience else None


def is_running(pid: int) -> bool:
    """Whether a process of this machine runs; one that has ended and waits for its parent does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with suppress(OSError):  # where there is no /proc, parents are quick
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return True
