"""Problem details (RFC 9457): the one format of all errors."""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from contract.choices import ProblemCode

_VALUE_LENGTH: Final = 80


class FieldProblem(BaseModel):
    """A field that breaks a rule."""

    model_config = ConfigDict(frozen=True)

    pointer: str = Field(description="JSON pointer to the field in the request, such as `/sigma`.")
    message: str = Field(description="The field, the rule, and the value sent.")


class Problem(BaseModel):
    """An error, for programs and for people. It never contains a path or a traceback."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="Kind of problem, as a stable URN.")
    title: str = Field(description="Kind of problem, in words.")
    status: int = Field(
        description="HTTP status code; for a failed job, the one a synchronous response would have."
    )
    detail: str = Field(description="What happened in this case.")
    code: ProblemCode = Field(description="Kind of problem, for programs.")
    errors: list[FieldProblem] = Field(default=[], description="The fields that caused it.")


# Code: HTTP status and title. For problems of jobs, the status that a synchronous answer would have.
KINDS: dict[ProblemCode, tuple[int, str]] = {
    ProblemCode.UNAUTHENTICATED: (401, "Authentication required"),
    ProblemCode.FORBIDDEN: (403, "Permission denied"),
    ProblemCode.MALFORMED_BODY: (400, "Malformed request body"),
    ProblemCode.INVALID_FIELD: (422, "Invalid field"),
    ProblemCode.TOO_FEW_SAMPLES: (422, "Too few samples"),
    ProblemCode.UNKNOWN_MODEL: (422, "Unknown model"),
    ProblemCode.NOT_ADAPTABLE: (422, "Model cannot be adapted"),
    ProblemCode.UNSUPPORTED_IMAGE_TYPE: (415, "Unsupported image type"),
    ProblemCode.UNSUPPORTED_MEDIA_TYPE: (415, "Unsupported media type"),
    ProblemCode.UNDECODABLE_IMAGE: (422, "Image cannot be decoded"),
    ProblemCode.IMAGE_SIZE_MISMATCH: (422, "Image does not fit the model"),
    ProblemCode.IMAGE_TOO_LARGE: (413, "Image has too many pixels"),
    ProblemCode.BODY_TOO_LARGE: (413, "Request body too large"),
    ProblemCode.NOT_FOUND: (404, "Not found"),
    ProblemCode.METHOD_NOT_ALLOWED: (405, "Method not allowed"),
    ProblemCode.JOB_FINISHED: (409, "Job already finished"),
    ProblemCode.BODY_TIMEOUT: (408, "Request timeout"),
    ProblemCode.HEADERS_TOO_LARGE: (431, "Request headers too large"),
    ProblemCode.IDEMPOTENCY_KEY_REUSED: (422, "Idempotency key already used"),
    ProblemCode.RATE_LIMITED: (429, "Too many requests"),
    ProblemCode.TOO_MANY_QUEUED: (429, "Too many queued jobs"),
    ProblemCode.QUEUE_FULL: (503, "Queue full"),
    ProblemCode.TOO_MANY_STREAMS: (503, "Too many event streams"),
    ProblemCode.TOO_MANY_CONNECTIONS: (503, "Too many connections"),
    ProblemCode.NO_WORKERS: (503, "No worker available"),
    ProblemCode.STORE_UNAVAILABLE: (503, "Store unavailable"),
    ProblemCode.INTERNAL_ERROR: (500, "Internal server error"),
    ProblemCode.WORKER_LOST: (500, "Worker lost"),
    ProblemCode.TIMEOUT: (504, "Job timed out"),
    ProblemCode.IMAGE_EXPIRED: (410, "Image expired"),
    ProblemCode.MODEL_CHANGED: (409, "Model changed"),
    ProblemCode.MODEL_LOAD_FAILED: (500, "Model failed to load"),
    ProblemCode.UNUSABLE_CLASSIFIER: (500, "Unusable classifier"),
    ProblemCode.OUT_OF_MEMORY: (500, "Out of memory"),
    ProblemCode.MEMORY_DAMAGED: (500, "Region memory damaged"),
    ProblemCode.VOLATILE_STORE: (503, "Store not durable"),
    ProblemCode.STOPPING: (503, "Server stopping"),
}


def problem(code: ProblemCode, detail: str, errors: list[FieldProblem] | None = None) -> Problem:
    """Returns a problem with the status and title of its code."""
    status, title = KINDS[code]
    return Problem(
        type=f"urn:radii:problem:{code.value.replace('_', '-')}",
        title=title,
        status=status,
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
