"""Completes operations: every problem and header they can return; no null outside of JSON."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

from service.problems import MEDIA_TYPE, REQUEST_ID

Document = dict[str, Any]

_PROBLEM: Final = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
MULTIPART: Final = "multipart/form-data"
_STREAM: Final = "text/event-stream"
_IMAGE_TYPES: Final = "image/png, image/jpeg, image/webp, image/bmp"
_HEADERS: Final[Mapping[str, Document]] = {
    REQUEST_ID: {
        "description": "Id of the request in the log: the client's own `X-Request-ID`, or a generated one.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds to wait before retrying.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
}
_TRY_AGAIN: Final = frozenset({"429", "503"})


def adjust_operations(document: Document, common: Mapping[int | str, Document]) -> set[str]:
    """Completes every operation's responses, and cleans its parameters and bodies, in place.

    Args:
        document: The framework's document.
        common: Problems that routes do not declare: 401, 403 and 429 for operations that need a key, and 500
            for all.

    Returns:
        The names of the schemas of requests.
    """
    schemas = document["components"]["schemas"]
    document["components"]["headers"] = {name: dict(header) for name, header in _HEADERS.items()}
    asked: set[str] = set()
    for path in document["paths"].values():
        for operation in path.values():
            operation["summary"] = operation.get("description", "").partition(".")[0]
            operation["responses"] = _responses(operation, common, schemas)
            for parameter in operation.get("parameters", []):
                parameter["schema"] = without_null(parameter["schema"])
                parameter["schema"].pop("description", None)
            operation.setdefault("security", [])  # explicit: no key is needed
            asked |= _adjust_body(operation.get("requestBody", {}).get("content", {}), schemas)
    return asked


def without_null(schema: Document) -> Document:
    """Returns a schema without null, which forms and query strings cannot express."""
    schema = dict(schema)
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        schema = {**kinds[0], **schema}
    return schema


def _responses(operation: Document, common: Mapping[int | str, Document], schemas: Document) -> Document:
    declared = {
        status: response
        for status, response in operation["responses"].items()
        if "HTTPValidationError" not in str(response.get("content", ""))
    }
    needed = common if operation.get("security") else {500: common[500]}
    for status, response in needed.items():
        declared.setdefault(str(status), {"description": response["description"], "content": {}})
    return {status: _response(status, response, schemas) for status, response in sorted(declared.items())}


def _response(status: str, response: Document, schemas: Document) -> Document:
    names = [REQUEST_ID, "Retry-After"] if status in _TRY_AGAIN else [REQUEST_ID]
    shared = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    response = {**response, "headers": {**response.get("headers", {}), **shared}}
    content = response.get("content")
    if status.startswith(("4", "5")):
        response["content"] = deepcopy(_PROBLEM)  # each gets an example of its own
    elif content is not None and _STREAM in content:
        response["content"] = {_STREAM: {"schema": {"type": "string"}}}
    if response["description"] == "Successful Response":
        response["description"] = _description_of(content or {}, schemas)
    return response


def _description_of(content: Document, schemas: Document) -> str:
    for media in content.values():
        name = media.get("schema", {}).get("$ref", "").rpartition("/")[2]
        if "description" in schemas.get(name, {}):
            return str(schemas[name]["description"])
    return "The response."


def _adjust_body(content: Document, schemas: Document) -> set[str]:
    """Declares the media types of an uploaded file; returns the names of the schemas of requests."""
    asked = {name: body["schema"]["$ref"].rpartition("/")[2] for name, body in content.items()}
    if MULTIPART in content:
        content[MULTIPART]["encoding"] = {"image": {"contentType": _IMAGE_TYPES}}
        form = schemas[asked[MULTIPART]]
        form["properties"] = {name: without_null(member) for name, member in form["properties"].items()}
    return set(asked.values())
