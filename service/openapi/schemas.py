"""Adjusts schemas so that generators make good types: no titles, known formats, all members required."""

from collections.abc import Mapping
from typing import Any, Final

Document = dict[str, Any]

_OF_THE_FRAMEWORK: Final = ("HTTPValidationError", "ValidationError")
_FORMATS: Final[Mapping[str, str]] = {"integer": "int64", "number": "double"}
_BOUNDS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def adjust_schemas(document: Document, asked: set[str]) -> None:
    """Cleans every schema of a document, in place.

    Args:
        document: The framework's document.
        asked: Names of the schemas of requests; the others are of responses, which always have all members.
    """
    schemas = document["components"]["schemas"]
    for name in _OF_THE_FRAMEWORK:
        schemas.pop(name, None)
    for name, schema in schemas.items():
        if "properties" in schema:
            if name not in asked:
                schema["required"] = list(schema["properties"])
            schema["properties"] = {key: _member(member) for key, member in schema["properties"].items()}
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                parameter["schema"] = _member(parameter["schema"])


def _member(member: Document) -> Document:
    """Drops titles, which generators take for type names, and marks files in the way they all understand."""
    member = {key: value for key, value in member.items() if key != "title"}
    if member.pop("contentMediaType", None):
        member["format"] = "byte" if member.get("format") == "base64" else "binary"
    if member.get("default", ...) is None:
        del member["default"]
    kind = str(member.get("type"))
    if kind in _FORMATS:
        member.setdefault("format", _FORMATS[kind])
    if kind == "integer":
        member.update({bound: int(member[bound]) for bound in _BOUNDS if bound in member})
    if "items" in member:
        member["items"] = _member(member["items"])
    if "anyOf" in member:
        member["anyOf"] = [_member(one) for one in member["anyOf"]]
    return member
