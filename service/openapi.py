"""The API's description, kept to what client generators read correctly."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from contract.problems import KINDS, Problem
from service.problems import MEDIA_TYPE

_Document = dict[str, Any]
_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}
MULTIPART: Final = "multipart/form-data"
_IMAGE_TYPES: Final = "image/png, image/jpeg, image/webp, image/bmp"
_UNUSED: Final = ("HTTPValidationError", "ValidationError")


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Declares which problems a route can answer.

    Every route can also be asked too often, or meet a store that is away.
    """
    codes = {
        status: [code.value for code, (kind, _) in KINDS.items() if kind == status]
        for status in (*statuses, 429, 503)
    }
    return {
        status: {
            "model": Problem,
            "description": "Problem: " + ", ".join(f"`{name}`" for name in names) if names else "Problem.",
        }
        for status, names in codes.items()
    }


def use_openapi(app: FastAPI) -> None:
    """Makes the app serve the adjusted document."""

    def document() -> _Document:
        if app.openapi_schema is None:
            app.openapi_schema = _adjust(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    summary=app.summary,
                    license_info=app.license_info,
                    routes=app.routes,
                    separate_input_output_schemas=False,
                )
            )
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _adjust(document: _Document) -> _Document:
    asked: set[str] = set()
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"] = {
                status: _response(status, response)
                for status, response in operation["responses"].items()
                if not _is_default_validation(response)
            }
            asked |= _adjust_body(operation.get("requestBody", {}).get("content", {}))
    schemas = document["components"]["schemas"]
    for name in _UNUSED:
        schemas.pop(name, None)
    for name, schema in schemas.items():
        if "properties" in schema:
            schema["properties"] = {key: _member(member) for key, member in schema["properties"].items()}
            if name not in asked:  # an answer always holds every member
                schema["required"] = list(schema["properties"])
    return document


def _adjust_body(content: _Document) -> set[str]:
    """Says what an uploaded file may be; returns the names of the schemas that are asked for."""
    if MULTIPART in content:
        content[MULTIPART]["encoding"] = {"image": {"contentType": _IMAGE_TYPES}}
    return {body["schema"]["$ref"].rpartition("/")[2] for body in content.values()}


def _is_default_validation(response: Mapping[str, Any]) -> bool:
    return "HTTPValidationError" in str(response.get("content", ""))


def _response(status: str, response: _Document) -> _Document:
    if not status.startswith("2") and "content" in response:
        return {**response, "content": {MEDIA_TYPE: {"schema": _PROBLEM}}}
    return response


def _member(member: _Document) -> _Document:
    """Drops titles, which generators take for names of types, and marks files the way they all read."""
    member = {key: value for key, value in member.items() if key != "title"}
    if member.pop("contentMediaType", None):
        member["format"] = "byte" if member.get("format") == "base64" else "binary"
    return member
