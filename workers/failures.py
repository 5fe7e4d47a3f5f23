"""Why a job ends without an answer.

::

    JobFailure     says what the client is told; never tried again
    EngineLost     the engine died, did not start or lost the store; RQ tries again
    Abandoned      the client cancelled, or the relay is gone: nobody waits
    Superseded     this attempt was given up for lost, and another one has begun
"""

from contract.choices import ProblemCode
from contract.problems import Problem, problem


class JobFailure(Exception):
    """The job cannot succeed, and the client is told why."""

    def __init__(self, code: ProblemCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail

    @property
    def problem(self) -> Problem:
        """The failure as the client sees it."""
        return problem(self.code, self.detail)


class EngineLost(Exception):
    """The engine closed the connection or lost the store, or none could be reached in time."""


class Abandoned(Exception):
    """Nobody waits for the answer any more."""


class Superseded(Exception):
    """Another attempt has begun: the answer is for that one to give."""
