"""The document may grow. What the last release promised stays: a client made from it still works."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contract import __version__
from service.app import describe_api

Document = dict[str, Any]

RELEASES = Path(__file__).parents[3] / "docs" / "openapi"
AT_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
AT_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems")
SAME = ("$ref", "type", "format", "pattern", "default")


def promises(document: Document) -> Iterator[str]:
    """What a client may rely on, one sentence each. A limit is not a promise here: see `tightened`."""
    schemas, asked = document["components"]["schemas"], set()
    for path, method, operation in operations(document):
        place = f"{method} {path}"
        yield f"{place} is {operation['operationId']} of {operation['tags']}"
        yield from (f"{place} needs no key" for _ in [0] if not operation["security"])
        body = operation.get("requestBody", {"content": {}})
        yield from (f"{place} needs no body" for _ in [0] if not body.get("required"))
        for media, sent in body["content"].items():
            yield f"{place} takes {media}: {sent['schema']}"
            asked.add(sent["schema"]["$ref"].rpartition("/")[2])
        for one in operation.get("parameters", []):
            yield from member(
                f"{place} {one['name'].lower()}", one["schema"], one.get("required"), asked=True
            )
        for status, answer in operation["responses"].items():
            yield from (
                f"{place} {status} has {name}: {header}" for name, header in headers(document, answer)
            )
            for media, content in answer.get("content", {}).items():
                yield f"{place} {status} is {media}: {content['schema']}"
    for name, schema in schemas.items():
        yield from (f"{name} may be {value}" for value in schema.get("enum", []))
        for key, one in schema.get("properties", {}).items():
            yield from member(f"{name}/{key}", one, key in schema.get("required", []), asked=name in asked)


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in document["paths"].items():
        yield from ((path, method.upper(), operation) for method, operation in methods.items())


def headers(document: Document, answer: Document) -> Iterator[tuple[str, str]]:
    for name, header in answer["headers"].items():
        found = document["components"]["headers"][name] if "$ref" in header else header
        yield name, f"{found['schema']}" + (" always" if found.get("required") else "")


def member(place: str, schema: Document, required: object, *, asked: bool) -> Iterator[str]:
    """A request may omit it or send null; an answer always has it, and it is never null."""
    kinds = [{**schema, **kind} for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    nullable = len(kinds) < len(schema.get("anyOf", [schema]))
    yield f"{place} exists"
    yield from (
        f"{place} {'may be omitted' if asked else 'is there'}" for _ in [0] if bool(required) != asked
    )
    yield from (f"{place} {'may be' if asked else 'is never'} null" for _ in [0] if nullable == asked)
    for kind in kinds:
        for part in (kind, kind.get("items", {})):
            yield f"{place} is { ({word: part.get(word) for word in SAME if asked or word != 'default'}) }"


def limits(place: str, node: Any) -> Iterator[tuple[str, dict[str, float]]]:
    """Every schema's limits, by its place; answers have none."""
    if isinstance(node, dict) and "type" in node:
        yield place, {word: node[word] for word in AT_MOST + AT_LEAST if word in node}
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, dict | list) and key not in ("example", "examples"):
            name = value.get("name", key) if isinstance(value, dict) else key
            yield from limits(f"{place}/{name}", value)


def tightened(old: Document, new: Document) -> Iterator[str]:
    now = dict(limits("", new))
    for place, before in limits("", old):
        for word, limit in now.get(place, {}).items():
            was = before.get(word, float("inf") if word in AT_MOST else float("-inf"))
            if limit < was if word in AT_MOST else limit > was:
                yield f"{place}: {word} was {was}, is {limit}"


def broken(old: Document, new: Document) -> list[str]:
    return sorted(set(promises(old)) - set(promises(new))) + list(tightened(old, new))


def numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:3]]


def test_no_promise_of_the_last_release_is_broken() -> None:
    """A breaking change is a new major version (0.x: minor)."""
    last = max(RELEASES.glob("*.json"), key=lambda file: numbers(file.stem))
    old, new = numbers(last.stem), numbers(__version__)
    assert old <= new
    allowed = new[0] > old[0] or (old[0] == 0 and new[:2] > old[:2])
    assert allowed or broken(json.loads(last.read_text()), describe_api()) == [], (
        f"against {last.name}; if it must be, raise the version in contract/__init__.py"
    )


def form(document: Document) -> Document:
    found: Document = document["components"]["schemas"]["CertifyForm"]
    return found


CHANGES: dict[str, Callable[[Document], Any]] = {
    "GET /models is": lambda d: d["paths"].pop("/models"),
    "needs no key": lambda d: d["paths"]["/version"]["get"].update(security=[{"key": []}]),
    "wait exists": lambda d: d["paths"]["/jobs/{job_id}"]["get"]["parameters"].clear(),
    "202 has Location": lambda d: d["paths"]["/certify"]["post"]["responses"]["202"]["headers"].pop("Location"),
    "CertifyForm/fresh exists": lambda d: form(d)["properties"].pop("fresh"),
    "CertifyForm/model may be omitted": lambda d: form(d)["required"].append("model"),
    "CertifyForm/n is": lambda d: form(d)["properties"]["n"].update(type="string"),
    "CertifyForm/alpha is": lambda d: form(d)["properties"]["alpha"].update(default=0.01),
    "minimum was 1, is 2": lambda d: form(d)["properties"]["n"].update(minimum=2),
    "maximum was inf": lambda d: form(d)["properties"]["target_radius"].update(maximum=1),
    "NoiseKind may be uniform": lambda d: d["components"]["schemas"]["NoiseKind"]["enum"].remove("uniform"),
    "Radius/linf is there": lambda d: d["components"]["schemas"]["Radius"]["required"].remove("linf"),
    "Radius/linf is never null": lambda d: d["components"]["schemas"]["Radius"]["properties"]["linf"].update(
        anyOf=[{"type": "number"}, {"type": "null"}]
    ),
}  # fmt: skip


@pytest.mark.parametrize("promise", CHANGES)
def test_a_breaking_change_is_seen(promise: str) -> None:
    old = describe_api()
    new = copy.deepcopy(old)
    CHANGES[promise](new)
    assert any(promise in found for found in broken(old, new))


def test_a_new_optional_field_breaks_nothing() -> None:
    old = describe_api()
    new = copy.deepcopy(old)
    form(new)["properties"]["extra"] = {"type": "integer", "minimum": 1}
    new["components"]["schemas"]["ProblemCode"]["enum"].append("news")
    assert broken(old, new) == []
