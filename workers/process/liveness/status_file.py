"""A file in which an engine says what it does, for processes of the same machine: it works without Redis.

An engine looks between two batches whether its relay still waits. One that hangs in a kernel, or in a loop
that holds Python's lock, never looks, and none of its threads runs. So it is watched from outside: the file
says for which relay it works, and when its threads last ran.
"""

import json
import os
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import structlog
from pydantic import TypeAdapter

log = structlog.get_logger()

FOLDER_PREFIX: Final = "radii-worker-"  # of a worker's folder among the temporary files
_NAME: Final = "engine.json"


@dataclass(frozen=True)
class Status:
    """What an engine does.

    Attributes:
        pid: The engine's process.
        since: When it began that, in seconds since the epoch.
        beat: When its threads last ran, likewise.
        serving: It has loaded its first model and takes jobs.
        job: The job that it works on, if any.
        relay: The process that waits for that job's answer.
    """

    pid: int
    since: float
    beat: float
    serving: bool = False
    job: str | None = None
    relay: int | None = None


_STATUS: Final = TypeAdapter(Status)


class StatusFile:
    """The engine's side: writes the file at each change, and every ``interval`` seconds in between."""

    def __init__(self, folder: Path, interval: float) -> None:
        self._file = folder / _NAME
        self._interval = interval
        self._lock = threading.Lock()
        now = time.time()
        self._status = Status(os.getpid(), since=now, beat=now)
        self._write(self._status)
        threading.Thread(target=self._beat, name="status file", daemon=True).start()

    def set_job(self, job: str | None, relay: int | None = None) -> None:
        """Notes the job that the engine begins, and the process that waits for it; None: it is free."""
        with self._lock:
            self._write(replace(self._status, since=time.time(), serving=True, job=job, relay=relay))

    def _beat(self) -> None:
        time.sleep(self._interval)
        while self._file.parent.is_dir():  # looked at just before each write: a stopped worker's is gone
            with self._lock:
                self._write(self._status)
            time.sleep(self._interval)

    def _write(self, status: Status) -> None:
        """Replaces the file, so that readers see all of the old status or all of the new one."""
        self._status = replace(status, beat=time.time())
        part = self._file.with_suffix(".part")
        try:
            part.write_text(json.dumps(asdict(self._status)))
            part.replace(self._file)
        except OSError as error:  # a full disk is no reason to drop a job
            log.warning("status file not written", error=type(error).__name__)
            with suppress(OSError):  # an old job in it, whose relay has ended, would look like a hung engine
                self._file.unlink(missing_ok=True)


def read_status(folder: Path) -> Status | None:
    """Returns what the engine of a worker does; None before it has begun, or if it cannot be read."""
    try:
        return _STATUS.validate_json((folder / _NAME).read_bytes())
    except (OSError, ValueError):  # of another user, or of another release
        return None


def seconds_since_beat() -> float | None:
    """Returns how long ago the threads of an engine of this machine last ran; None if there is no worker."""
    folders = Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*")
    found = [status for folder in folders if (status := read_status(folder)) is not None]
    return min((time.time() - status.beat for status in found), default=None)


class Watchdog:
    """The supervisor's side: notices an engine that works on although its relay has ended."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._abandoned: Status | None = None
        self._since = 0.0

    def hung(self, status: Status | None) -> str | None:
        """Returns the job that the engine has not left ``patience`` seconds after its relay had ended."""
        if status is None or status.relay is None or is_running(status.relay):
            self._abandoned = None
            return None
        now = time.monotonic()
        if self._abandoned is None or status.since != self._abandoned.since:
            self._abandoned, self._since = status, now
        return status.job if now - self._since > self._patience else None


def is_running(pid: int) -> bool:
    """Whether a process of this machine runs; one that has ended and waits for its parent does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with suppress(OSError):  # without /proc an ended process counts until its parent has taken notice: soon
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return True
