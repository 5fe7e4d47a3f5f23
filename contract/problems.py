"""Problem details (RFC 9457): the one format of all errors."""

from collections.abc import Mapping
from typing import Final

from pydantic import Field

from contract import Frozen
from contract.choices import ProblemCode

_VALUE_LENGTH: Final = 80


class FieldProblem(Frozen):
    """A field that breaks a rule."""

    pointer: str = Field(description="JSON pointer to the field in the request, such as `/sigma`.")
    message: str = Field(description="The field, the rule, and the value sent.")


class Problem(Frozen):
    """An error, for programs and for people. It never contains a path or a traceback."""

    type: str = Field(description="Kind of problem, as a stable URN.")
    title: str = Field(description="Kind of problem, in words.")
    status: int = Field(
        description="HTTP status code; for a failed job, the one a synchronous response would have."
    )
    detail: str = Field(description="What happened in this case.")
    code: ProblemCode = Field(description="Kind of problem, for programs.")
    errors: list[FieldProblem] = Field(default=[], description="The fields that caused it.")


def problem(code: ProblemCode, detail: str, errors: list[FieldProblem] | None = None) -> Problem:
    """Returns a problem with the status and title of its code."""
    return Problem(
        type=f"urn:radii:problem:{code.value.replace('_', '-')}",
        title=code.heading,
        status=code.status,
        detail=detail,
        code=code,
        errors=errors or [],
    )


class ProblemError(Exception):
    """A request is refused; ``problem`` says why."""

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem.code.value)
        self.problem = problem
        self.headers = headers


def refusal(
    code: ProblemCode, detail: str, *, pointer: str | None = None, headers: Mapping[str, str] | None = None
) -> ProblemError:
    """Returns the error that refuses a request; ``pointer`` names the field at fault, if there is one."""
    errors = [] if pointer is None else [FieldProblem(pointer=pointer, message=detail)]
    return ProblemError(problem(code, detail, errors), headers)


def shorten(value: object) -> str:
    """Returns a value as it was sent, cut to 80 characters."""
    text = repr(value)
    return text if len(text) <= _VALUE_LENGTH else text[: _VALUE_LENGTH - 1] + "…"
