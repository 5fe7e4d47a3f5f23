"""The OpenAPI 3.1 document, restricted to what client generators read correctly.

What the framework writes is adjusted in three passes: `operations`, `schemas` and `examples`.
"""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.openapi.examples import add_examples
from service.openapi.operations import adjust_operations
from service.openapi.responses import problem_responses
from service.openapi.schemas import adjust_schemas

_DESCRIPTION: Final = """\
A certificate is a label, a radius within which no perturbation of the image changes that label, and the votes
that prove it. `POST /certify` queues a job, `GET /jobs/{job_id}?wait=20` waits for it, and the job holds the
certificate.

Errors are `application/problem+json` (RFC 9457): `code` is for programs, and `errors` names each field, its
rule and the value sent. A response always has all of its members; what does not apply is null. A later
release may add members to responses, and values to their enums.
"""
_TAGS: Final = {
    "certify": "Request a label and a certified radius.",
    "predict": "Request a label only, which needs far fewer votes.",
    "jobs": "Follow, wait for and cancel submitted requests.",
    "certificates": "Read and verify certificates, which never change.",
    "regions": "List the memory of certified regions.",
    "models": "List the models that can be certified.",
    "service": "Health, version and metrics, for operators.",
}


def use_openapi(app: FastAPI) -> None:
    """Makes the app serve the adjusted document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _describe(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=_DESCRIPTION,
        license_info=app.license_info,
        servers=[{"url": "/"}],
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    asked = adjust_operations(document, common=problem_responses(401, 403, 429, 500))
    adjust_schemas(document, asked)
    add_examples(document)
    used = {tag for path in document["paths"].values() for one in path.values() for tag in one["tags"]}
    document["tags"] = [{"name": name, "description": _TAGS[name]} for name in _TAGS if name in used]
    return document
