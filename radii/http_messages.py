"""What the client sends and what it gets: checked forms, answers, problems."""

from typing import Any, Final, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from contract import __version__
from contract.choices import JobKind, JobStatus
from contract.jobs import Job
from contract.problems import Problem
from contract.requests import CertifyRequest, PredictRequest
from radii.errors import InvalidRequest, JobFailed, ServerRefused, ServerUnavailable
from service.field_messages import field_problem

Answer = TypeVar("Answer", bound=BaseModel)
Form = dict[str, str | list[str]]

_REQUESTS: Final[dict[JobKind, type[CertifyRequest | PredictRequest]]] = {
    model.kind: model for model in (CertifyRequest, PredictRequest)
}


def make_form(kind: JobKind, fields: dict[str, object]) -> Form:
    """Returns the fields of a request as a form sends them, checked by the server's own rules.

    None counts as omitted.

    Raises:
        InvalidRequest: Names each field at fault, its rule and its value.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        request = _REQUESTS[kind].model_validate(given)
    except ValidationError as error:
        messages = [field_problem(fault).message for fault in error.errors()]
        raise InvalidRequest("\n".join(messages)) from None
    checked = request.model_dump(mode="json", include=set(given))
    return {name: _form_value(value) for name, value in checked.items()}


def _form_value(value: Any) -> str | list[str]:
    if isinstance(value, bool):
        return str(value).lower()
    return [str(item) for item in value] if isinstance(value, list) else str(value)


def read_answer(kind: type[Answer], content: str | bytes) -> Answer:
    """Reads an answer.

    Raises:
        ServerUnavailable: It is not understood: another version may send what this one does not know.
    """
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise ServerUnavailable(
            f"the server's answer is not understood (at '{where}'): is it of this version, {__version__}?"
        ) from error


def read_refusal(response: httpx.Response) -> ServerRefused:
    """Returns the error that a response without success stands for."""
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        return ServerRefused(f"the server answered {response.status_code}: {response.text[:200]}")
    return ServerRefused(_in_words(problem), problem)


def require_success(job: Job) -> Job:
    """Returns a job that succeeded.

    Raises:
        JobFailed: It failed, was cancelled or expired.
    """
    if job.status is not JobStatus.SUCCEEDED:
        reason = _in_words(job.error) if job.error else "no reason is known"
        raise JobFailed(f"job {job.id} {job.status.value}: {reason}", job)
    return job


def _in_words(problem: Problem) -> str:
    fields = [f"{error.pointer}: {error.message}" for error in problem.errors]
    return "\n".join(
        [f"{problem.title}: {problem.detail}", *(line for line in fields if problem.detail not in line)]
    )
