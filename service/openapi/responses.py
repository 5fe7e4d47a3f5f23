"""What routes declare of their responses: problems, headers, and links to the operations to call next."""

from collections.abc import Mapping
from typing import Any, Final

from contract.choices import ProblemCode
from contract.problems import Problem

# Problems of failed jobs; no response has them unless its route declares it.
_OF_JOBS: Final = frozenset(
    {
        ProblemCode.WORKER_LOST,
        ProblemCode.TIMEOUT,
        ProblemCode.IMAGE_EXPIRED,
        ProblemCode.MODEL_CHANGED,
        ProblemCode.MODEL_LOAD_FAILED,
        ProblemCode.UNUSABLE_CLASSIFIER,
        ProblemCode.OUT_OF_MEMORY,
        ProblemCode.MEMORY_DAMAGED,
    }
)


def problem_responses(*asked: int | ProblemCode) -> dict[int | str, dict[str, Any]]:
    """Declares the problems of a route; every route can also find Redis unavailable (503).

    Args:
        asked: Codes, or statuses that stand for all of their codes.
    """
    codes: dict[int, list[ProblemCode]] = {}
    for one in (*asked, 503):
        if isinstance(one, ProblemCode):
            codes.setdefault(one.status, []).append(one)
        else:
            codes.setdefault(one, []).extend(
                code for code in ProblemCode if code.status == one and code not in _OF_JOBS
            )
    return {
        status: {
            "model": Problem,
            "description": "Problem: " + ", ".join(f"`{code.value}`" for code in dict.fromkeys(found))
            if found
            else "Problem.",
        }
        for status, found in codes.items()
    }


def header(description: str, *, required: bool = True) -> dict[str, Any]:
    """Declares a header of a response."""
    return {"description": description, "required": required, "schema": {"type": "string"}}


_Links = Mapping[str, dict[str, Any]]


def _links(parameter: str, where: str, *operations: str) -> _Links:
    """Links to operations that take one parameter, whose value is in the body of the response."""
    taken = {parameter: f"$response.body#/{where}"}
    return {operation: {"operationId": operation, "parameters": taken} for operation in operations}


TO_THE_JOB: Final = _links("job_id", "id", "get_job", "follow_job", "cancel_job")
TO_ITS_CERTIFICATE: Final = _links("certificate_id", "certificate/id", "get_certificate", "verify")
TO_ITS_VERIFICATION: Final = _links("certificate_id", "id", "verify")
TO_A_MODEL: Final = _links("name", "models/0/name", "get_model")
