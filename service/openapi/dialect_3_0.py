"""The document in OpenAPI 3.0.3, for generators that do not read 3.1."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from service.openapi.operations import FORM

Document = dict[str, Any]

_LICENSES: Final[Mapping[str, str]] = {"Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0"}
_NULL: Final[Document] = {"type": "null"}
_BOUNDS: Final[Mapping[str, str]] = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}
_DATA: Final = ("example", "examples")


def to_openapi_3_0(document: Document) -> Document:
    """Returns a document in the older dialect, which says the same in other words; the given one is kept.

    What 3.0.3 has no words for is left out (the SPDX name of a licence) or put elsewhere (the summary). "This
    type or null" is `allOf` with `nullable`, which is how generators read it, though a strict validator would
    refuse null.
    """
    older: Document = _node({key: value for key, value in document.items() if key != "webhooks"})
    schemas = {name: _schema(schema) for name, schema in document["components"]["schemas"].items()}
    older["components"]["schemas"] = schemas
    for form in _forms(document):
        members = schemas[form]["properties"]
        members.update({name: _plain_reference(member) for name, member in members.items()})
    _name_types(older, schemas)
    return {**older, "openapi": "3.0.3", "info": _info(document["info"])}


def _info(info: Document) -> Document:
    info = dict(info)
    told = [info.pop("summary", ""), info.get("description", "")]
    info["description"] = "\n\n".join(text for text in told if text)
    if "license" in info:
        identifier = info["license"].get("identifier")
        url = {"url": _LICENSES[identifier]} if identifier in _LICENSES else {}
        info["license"] = {"name": info["license"]["name"], **url}
    return info


def _node(node: Any) -> Any:
    """Converts the schemas somewhere below a node; examples are data, and stay as they are."""
    if isinstance(node, list):
        return [_node(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: value if key in _DATA else _schema(value) if key == "schema" else _node(value)
        for key, value in node.items()
    }


def _schema(schema: Document) -> Document:
    schema = _descend(_without_null(schema))
    for exclusive, bound in _BOUNDS.items():
        if exclusive in schema:
            schema |= {bound: schema[exclusive], exclusive: True}
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if "examples" in schema:
        schema["example"] = schema.pop("examples")[0]
    if "contentEncoding" in schema or "contentMediaType" in schema:
        schema["format"] = "byte" if schema.pop("contentEncoding", None) == "base64" else "binary"
        schema.pop("contentMediaType", None)
    if "$ref" in schema and len(schema) > 1:  # what stands beside a reference is ignored
        schema = {"allOf": [{"$ref": schema.pop("$ref")}], **schema}
    return schema


def _without_null(schema: Document) -> Document:
    """Says "or null" by `nullable`."""
    schema = dict(schema)
    kinds = schema.get("type")
    if isinstance(kinds, list):
        del schema["type"]
        schema["anyOf"] = [{"type": kind} for kind in kinds]
    for word in ("anyOf", "oneOf"):
        members = [member for member in schema.get(word, []) if member != _NULL]
        if len(members) < len(schema.get(word, [])):
            schema["nullable"] = True
            schema[word] = members
        if len(members) == 1:
            del schema[word]
            schema = {**members[0], **schema}
    return schema


def _descend(schema: Document) -> Document:
    for word in ("allOf", "anyOf", "oneOf"):
        if word in schema:
            schema[word] = [_schema(member) for member in schema[word]]
    if "prefixItems" in schema:
        schema["items"] = {"anyOf": schema.pop("prefixItems")}
    for word in ("items", "additionalProperties", "not"):
        if isinstance(schema.get(word), dict):
            schema[word] = _schema(schema[word])
    if "properties" in schema:
        schema["properties"] = {name: _schema(member) for name, member in schema["properties"].items()}
    return schema


def _forms(document: Document) -> Iterator[str]:
    for path in document["paths"].values():
        for operation in path.values():
            body = operation.get("requestBody", {}).get("content", {}).get(FORM)
            if body is not None:
                yield body["schema"]["$ref"].rpartition("/")[2]


def _plain_reference(member: Document) -> Document:
    """openapi-generator takes any value for a form's field whose type is named within `allOf`."""
    return dict(member["allOf"][0]) if len(member.get("allOf", [])) == 1 else member


def _name_types(node: Any, schemas: Document) -> None:
    """`nullable` has a meaning only beside a type, so that of the schema referred to is named again."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, dict | list) and key not in _DATA:
            _name_types(value, schemas)
    if isinstance(node, dict) and "nullable" in node and "allOf" in node and "type" not in node:
        name = node["allOf"][0].get("$ref", "").rpartition("/")[2]
        if "type" in schemas.get(name, {}):
            node["type"] = schemas[name]["type"]
