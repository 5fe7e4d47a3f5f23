"""The process of one job: hands it to the engine over a Unix socket and waits for the answer.

It is a fork of the queue worker, which kills it to cancel the job or to enforce a timeout; the engine sees
the closed socket and abandons the work between two batches. Nothing here imports torch, so that a fork costs
milliseconds.
"""

import time
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Final

from workers.failures import EngineLost
from workers.process.messages import TAKEN, JobRequest, read_reply

_POLL_SECONDS: Final = 0.02


@dataclass(frozen=True)
class EngineAddress:
    """Where the engine of this worker listens, and how long a job waits for it to start."""

    socket: Path
    boot_seconds: float


def ask_engine(engine: EngineAddress, request: JobRequest) -> dict[str, str]:
    """Has the engine run a job; returns where the answer is.

    Raises:
        JobFailure: The job cannot succeed.
        EngineLost: The engine died or lost Redis, or none could be reached.
        Abandoned: The client has cancelled.
        Superseded: Another attempt has begun.
    """
    while True:
        with _connect(engine) as connection:
            try:
                connection.send_bytes(request.to_bytes())
                message = connection.recv_bytes()
            except (EOFError, OSError):
                continue  # it left, or was killed, without having taken this job: the next one may
            return read_reply(_wait(connection) if message == TAKEN else message)


def _connect(engine: EngineAddress) -> Connection:
    """Waits for an engine that is starting, or starting again."""
    deadline = time.monotonic() + engine.boot_seconds
    while True:
        try:
            return Client(str(engine.socket), "AF_UNIX")
        except (FileNotFoundError, ConnectionError, EOFError) as error:
            if time.monotonic() > deadline:
                raise EngineLost(f"no engine within {engine.boot_seconds:g} s") from error
            time.sleep(_POLL_SECONDS)


def _wait(connection: Connection) -> bytes:
    try:
        return connection.recv_bytes()
    except (EOFError, OSError) as error:
        raise EngineLost("the engine died while it worked on the job") from error
