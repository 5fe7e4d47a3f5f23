"""Schemas of which generators make good types: no titles, known formats, answers with every member."""

from collections.abc import Mapping
from typing import Any, Final

Document = dict[str, Any]

_OF_THE_FRAMEWORK: Final = ("HTTPValidationError", "ValidationError")
_FORMATS: Final[Mapping[str, str]] = {"integer": "int64", "number": "double"}
# openapi-python-client makes one variable of a class and one of each member; a prediction has a `prediction`.
_RENAMED: Final[Mapping[str, str]] = {"Prediction": "PredictedLabel"}
_BOUNDS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def adjust_schemas(document: Document, asked: set[str]) -> None:
    """Cleans every schema of a document, which is changed.

    Args:
        document: What the framework wrote.
        asked: Names of the schemas of requests; the others are of answers, which always hold every member.
    """
    schemas = document["components"]["schemas"]
    for name in _OF_THE_FRAMEWORK:
        schemas.pop(name, None)
    for name, schema in schemas.items():
        if "properties" in schema:
            if name not in asked:
                schema["required"] = list(schema["properties"])
            schema["properties"] = {key: _member(member) for key, member in schema["properties"].items()}
    for old in _RENAMED.keys() & schemas.keys():
        schemas[_RENAMED[old]] = {**schemas.pop(old), "title": _RENAMED[old]}
    document["components"]["schemas"] = _with_new_names(dict(sorted(schemas.items())))
    document["paths"] = _with_new_names(document["paths"])
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                parameter["schema"] = _member(parameter["schema"])


def _with_new_names(node: Any) -> Any:
    """Makes references follow what was renamed."""
    if isinstance(node, list):
        return [_with_new_names(item) for item in node]
    if not isinstance(node, dict):
        return node
    renamed = {key: _with_new_names(value) for key, value in node.items()}
    place, _, name = str(node.get("$ref", "")).rpartition("/")
    return {**renamed, "$ref": f"{place}/{_RENAMED[name]}"} if name in _RENAMED else renamed


def _member(member: Document) -> Document:
    """Drops titles, which generators take for names of types, and marks files the way they all read."""
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
