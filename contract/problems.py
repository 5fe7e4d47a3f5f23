"""One shape for everything that goes wrong: RFC 9457 problem details."""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from contract.choices import ProblemCode

_VALUE_LENGTH: Final = 80


class FieldProblem(BaseModel):
    """One field that broke a rule."""

    model_config = ConfigDict(frozen=True)

    pointer: str = Field(description="Where: a JSON pointer into the request, such as `/sigma`.")
    message: str = Field(description="The field, the rule and the value.")


class Problem(BaseModel):
    """What went wrong, in a form for programs and for people. Never holds a path or a traceback."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="A stable name of the kind of problem, as a URN.")
    title: str = Field(description="The kind of problem, in words.")
    status: int = Field(description="The HTTP status code; for a failed job, the one it would have had.")
    detail: str = Field(description="What happened here.")
    code: ProblemCode = Field(description="The kind of problem, for programs.")
    errors: list[FieldProblem] = Field(default=[], description="The fields at fault.")


# Code -> HTTP status and title. The statuses of jobs' problems say what a synchronous answer would have been.
KINDS: dict[ProblemCode, tuple[int, str]] = {
    ProblemCode.UNAUTHENTICATED: (401, "Who asks is not known"),
    ProblemCode.FORBIDDEN: (403, "Who asks may not do this"),
    ProblemCode.MALFORMED_BODY: (400, "The body cannot be read"),
    ProblemCode.INVALID_FIELD: (422, "A field breaks a rule"),
    ProblemCode.TOO_FEW_SAMPLES: (422, "Too few samples to certify anything"),
    ProblemCode.UNKNOWN_MODEL: (422, "No worker holds this model"),
    ProblemCode.NOT_ADAPTABLE: (422, "The model cannot be adapted"),
    ProblemCode.UNSUPPORTED_IMAGE_TYPE: (415, "Not an image of a supported type"),
    ProblemCode.UNSUPPORTED_MEDIA_TYPE: (415, "The body is of another media type"),
    ProblemCode.UNDECODABLE_IMAGE: (422, "The image cannot be decoded"),
    ProblemCode.IMAGE_SIZE_MISMATCH: (422, "The image does not fit the model"),
    ProblemCode.IMAGE_TOO_LARGE: (413, "The image has too many pixels"),
    ProblemCode.BODY_TOO_LARGE: (413, "The body is too large"),
    ProblemCode.NOT_FOUND: (404, "Not found"),
    ProblemCode.METHOD_NOT_ALLOWED: (405, "The path has no such method"),
    ProblemCode.JOB_FINISHED: (409, "The job has finished"),
    ProblemCode.BODY_TIMEOUT: (408, "The request did not arrive in time"),
    ProblemCode.HEADERS_TOO_LARGE: (431, "The headers are too large"),
    ProblemCode.IDEMPOTENCY_KEY_REUSED: (422, "The idempotency key stands for another request"),
    ProblemCode.RATE_LIMITED: (429, "Too many requests"),
    ProblemCode.TOO_MANY_QUEUED: (429, "Too many jobs of this caller wait"),
    ProblemCode.QUEUE_FULL: (503, "The queue is full"),
    ProblemCode.TOO_MANY_STREAMS: (503, "Too many event streams are open"),
    ProblemCode.TOO_MANY_CONNECTIONS: (503, "Too many connections are open"),
    ProblemCode.NO_WORKERS: (503, "No worker is there"),
    ProblemCode.STORE_UNAVAILABLE: (503, "The store does not answer"),
    ProblemCode.INTERNAL_ERROR: (500, "An error of ours"),
    ProblemCode.WORKER_LOST: (500, "The workers died while they worked on the job"),
    ProblemCode.TIMEOUT: (504, "The job ran out of time"),
    ProblemCode.IMAGE_EXPIRED: (410, "The image was kept no longer"),
    ProblemCode.MODEL_CHANGED: (409, "The model was replaced while the job waited"),
    ProblemCode.MODEL_LOAD_FAILED: (500, "The model cannot be loaded"),
    ProblemCode.UNUSABLE_CLASSIFIER: (500, "The classifier cannot be certified"),
    ProblemCode.OUT_OF_MEMORY: (500, "The device has too little memory"),
    ProblemCode.MEMORY_DAMAGED: (500, "The memory of certified regions is damaged"),
    ProblemCode.VOLATILE_STORE: (503, "Redis may lose what was promised"),
    ProblemCode.STOPPING: (503, "The process is stopping"),
}


def problem(code: ProblemCode, detail: str, errors: list[FieldProblem] | None = None) -> Problem:
    """Makes the problem of a kind."""
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
    """A request is refused; the problem says why."""

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem.code.value)
        self.problem = problem
        self.headers = headers


def refusal(
    code: ProblemCode, detail: str, *, pointer: str | None = None, headers: Mapping[str, str] | None = None
) -> ProblemError:
    """Makes the error that refuses a request, naming the field at fault if it is one."""
    errors = [] if pointer is None else [FieldProblem(pointer=pointer, message=detail)]
    return ProblemError(problem(code, detail, errors), headers)


def shorten(value: object) -> str:
    """Shows a value as it was sent, in at most 80 characters."""
    text = repr(value)
    return text if len(text) <= _VALUE_LENGTH else text[: _VALUE_LENGTH - 1] + "…"
