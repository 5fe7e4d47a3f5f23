"""What a relay and the engine say to each other over their socket, as JSON.

The relay sends a `JobRequest`. The engine answers `TAKEN` at once, and later what `result_reply` or
`error_reply` makes: an error crosses the socket, and `read_reply` raises it again.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from contract.choices import ProblemCode
from workers.failures import Abandoned, EngineLost, JobFailure, Superseded, WorkerError

TAKEN: Final = b'{"taken": true}'
_ERRORS: Final[Mapping[str, type[WorkerError]]] = {
    "lost": EngineLost,
    "abandoned": Abandoned,
    "superseded": Superseded,
}


@dataclass(frozen=True)
class JobRequest:
    """A job for the engine.

    Attributes:
        kind: ``certify`` or ``predict``.
        job_id: Its id.
        attempt: 1 for the first attempt at it.
        task: What the API asked.
        relay: The process that waits for the answer.
        log: Fields for every line that the engine logs about it.
    """

    kind: str
    job_id: str
    attempt: int
    task: Any
    relay: int
    log: dict[str, Any]

    def to_bytes(self) -> bytes:
        """As it is sent."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, message: bytes) -> Self:
        """Reads what was sent."""
        return cls(**json.loads(message))


def result_reply(result: Mapping[str, str]) -> bytes:
    """The answer of a job that has one: where it is."""
    return json.dumps({"result": result}).encode()


def error_reply(error: WorkerError) -> bytes:
    """The answer of a job that has none."""
    if isinstance(error, JobFailure):
        return json.dumps({"failure": {"code": error.code.value, "detail": error.detail}}).encode()
    (name,) = (name for name, kind in _ERRORS.items() if isinstance(error, kind))
    return json.dumps({name: str(error)}).encode()


def read_reply(message: bytes) -> dict[str, str]:
    """Returns where the answer of a job is.

    Raises:
        WorkerError: What the engine raised.
    """
    reply: dict[str, Any] = json.loads(message)
    if "failure" in reply:
        raise JobFailure(ProblemCode(reply["failure"]["code"]), reply["failure"]["detail"])
    for name, kind in _ERRORS.items():
        if name in reply:
            raise kind(reply[name])
    result: dict[str, str] = reply["result"]
    return result
