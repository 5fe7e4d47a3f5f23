"""Why a job ends without an answer.

::

    WorkerError
    ├── JobFailure     the job cannot succeed; the client gets the reason, and there is no other attempt
    ├── EngineLost     the engine died, did not start or lost Redis; RQ tries again
    ├── Abandoned      the client cancelled, or the relay is gone
    ├── Superseded     another attempt at the job has begun
    ├── ForbiddenTask  the job names a function that is none of ours (`workers.process.rq.allowed_job`)
    ├── KeepsDying     a process dies as often as it is started (`workers.process.child`)
    └── MemoryDamaged  a memory of regions has lost records or centres (`workers.memory.store`)
"""

from contract.choices import ProblemCode


class WorkerError(Exception):
    """Anything that a worker raises on purpose."""


class JobFailure(WorkerError):
    """The job cannot succeed, and the client gets the reason."""

    def __init__(self, code: ProblemCode, detail: str) -> None:
        super().__init__(code, detail)
        self.code = ProblemCode(code)
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class EngineLost(WorkerError):
    """The engine closed the connection or lost Redis, or none could be reached in time."""


class Abandoned(WorkerError):
    """The client cancelled, or the relay is gone: no process waits for the answer."""


class Superseded(WorkerError):
    """Another attempt has begun, and only that one may answer."""
