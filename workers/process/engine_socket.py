"""How a relay, the process of one job, has the engine run it: messages as JSON over a Unix socket.

A relay is a fork of the queue worker, which kills it to cancel the job or to enforce a timeout; the engine
sees the closed socket and abandons the work between two batches. Nothing here imports torch, so that a fork
costs milliseconds.

The relay sends a `JobRequest`. The engine answers `TAKEN` at once, and later with what `to_reply` makes. An
error crosses the socket, and `EngineClient.run` raises it again.
"""

import json
import os
import time
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any, Final, Self

from workers.failures import Abandoned, EngineLost, JobFailure, Superseded, WorkerError

TAKEN: Final = b'{"taken": true}'
_ERRORS: Final = {kind.__name__: kind for kind in (Abandoned, EngineLost, JobFailure, Superseded)}
_POLL_SECONDS: Final = 0.02


@dataclass(frozen=True)
class JobRequest:
    """A job for the engine.

    Attributes:
        kind: ``certify`` or ``predict``.
        job_id: Its id.
        task: What the API asked. Anyone who can write to Redis may have put anything there.
        attempt: 1 for the first attempt at it, 0 before that has begun.
        relay: The process that waits for the answer.
    """

    kind: str
    job_id: str
    task: Any
    attempt: int = 0
    relay: int = field(default_factory=os.getpid)

    @property
    def log(self) -> dict[str, Any]:
        """Fields for every line that is logged about the job."""
        asked = self.task if isinstance(self.task, dict) else {}
        model, request_id = asked.get("model"), asked.get("request_id")
        return {
            "job_id": self.job_id,
            "kind": self.kind,
            "model": model[:100] if isinstance(model, str) else "unknown",
            "request_id": request_id[:128] if isinstance(request_id, str) else "",
            "attempt": self.attempt,
        }

    def to_bytes(self) -> bytes:
        """As it is sent."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, message: bytes) -> Self:
        """Reads what was sent."""
        return cls(**json.loads(message))


def to_reply(outcome: dict[str, str] | WorkerError) -> bytes:
    """The engine's last message about a job: where its answer is, or why it has none."""
    if isinstance(outcome, WorkerError):
        return json.dumps({"error": type(outcome).__name__, "arguments": outcome.args}).encode()
    return json.dumps({"result": outcome}).encode()


@dataclass(frozen=True)
class EngineClient:
    """The relay's side.

    Attributes:
        socket: Where the engine of this worker listens.
        boot_seconds: How long a job waits for an engine that is starting.
    """

    socket: Path
    boot_seconds: float

    def run(self, request: JobRequest) -> dict[str, str]:
        """Has the engine run a job; returns where the answer is.

        Raises:
            JobFailure: The job cannot succeed.
            EngineLost: The engine died or lost Redis, or none could be reached.
            Abandoned: The client has cancelled.
            Superseded: Another attempt has begun.
        """
        while True:
            with self._connect() as connection:
                try:
                    connection.send_bytes(request.to_bytes())
                    message = connection.recv_bytes()
                except (EOFError, OSError):
                    continue  # it left, or was killed, without having taken this job: the next one may
                reply = json.loads(_wait(connection) if message == TAKEN else message)
            if "error" in reply:
                raise _ERRORS[reply["error"]](*reply["arguments"])
            result: dict[str, str] = reply["result"]
            return result

    def _connect(self) -> Connection:
        """Waits for an engine that is starting, or starting again."""
        deadline = time.monotonic() + self.boot_seconds
        while True:
            try:
                return Client(str(self.socket), "AF_UNIX")
            except (FileNotFoundError, ConnectionError, EOFError) as error:
                if time.monotonic() > deadline:
                    raise EngineLost(f"no engine within {self.boot_seconds:g} s") from error
                time.sleep(_POLL_SECONDS)


def _wait(connection: Connection) -> bytes:
    try:
        return connection.recv_bytes()
    except (EOFError, OSError) as error:
        raise EngineLost("the engine died while it worked on the job") from error
