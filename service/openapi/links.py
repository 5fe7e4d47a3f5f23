"""The document's links: which operation to call next, and with which value from the response."""

from collections.abc import Mapping
from typing import Any, Final

_Links = Mapping[str, dict[str, Any]]


def _links(parameter: str, where: str, *operations: str) -> _Links:
    """Links to operations that take one parameter, whose value is in the body of the response."""
    taken = {parameter: f"$response.body#/{where}"}
    return {operation: {"operationId": operation, "parameters": taken} for operation in operations}


TO_THE_JOB: Final = _links("job_id", "id", "get_job", "follow_job", "cancel_job")
TO_ITS_CERTIFICATE: Final = _links("certificate_id", "certificate/id", "get_certificate", "verify")
TO_ITS_VERIFICATION: Final = _links("certificate_id", "id", "verify")
TO_A_MODEL: Final = _links("name", "models/0/name", "get_model")
