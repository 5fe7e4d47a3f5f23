"""The process of one job: hands it to the engine over a Unix socket and waits for the answer.

It is a fork of the queue worker, which kills it to cancel the job or to enforce a timeout; the engine sees
the closed socket and abandons the work between two batches. Nothing here imports torch, so that a fork costs
milliseconds.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any, Final

from contract.choices import ProblemCode
from workers.failures import Abandoned, EngineLost, JobFailure, Superseded

_POLL_SECONDS: Final = 0.02


@dataclass(frozen=True)
class EngineAddress:
    """Where the engine of this worker listens, and how long a job waits for it to start."""

    socket: Path
    boot_seconds: float


def ask_engine(engine: EngineAddress, request: Mapping[str, Any]) -> dict[str, str]:
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
                connection.send_bytes(json.dumps(request).encode())
                reply: dict[str, Any] = json.loads(connection.recv_bytes())
            except (EOFError, OSError):
                continue  # it left, or was killed, without having taken this job: the next one may
            if "taken" in reply:
                reply = _wait(connection)
        return _read_reply(reply)


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


def _wait(connection: Connection) -> dict[str, Any]:
    try:
        reply: dict[str, Any] = json.loads(connection.recv_bytes())
    except (EOFError, OSError) as error:
        raise EngineLost("the engine died while it worked on the job") from error
    return reply


def _read_reply(reply: Mapping[str, Any]) -> dict[str, str]:
    if "failure" in reply:
        raise JobFailure(ProblemCode(reply["failure"]["code"]), reply["failure"]["detail"])
    if "lost" in reply:
        raise EngineLost(reply["lost"])
    if "abandoned" in reply:
        raise Abandoned(reply["abandoned"])
    if "superseded" in reply:
        raise Superseded(reply["superseded"])
    result: dict[str, str] = reply["result"]
    return result
