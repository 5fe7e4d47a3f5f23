"""The document may grow; it may not take away what the last release gave."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract.version import __version__
from service.app import describe_api
from tests.service.openapi.breaking_changes import breaking_changes

Document = dict[str, Any]

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def current() -> Document:
    return describe_api()


def last_release() -> Path:
    """The document of the highest version that there is one of."""
    return max((DOCS / "openapi").glob("*.json"), key=lambda file: numbers(file.stem))


def numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:3]]


def test_nothing_is_taken_away(current: Document) -> None:
    """What worked with the last release works; a breaking change is a new major version (0.x: minor)."""
    released = json.loads(last_release().read_text())
    old, new = numbers(last_release().stem), numbers(__version__)
    allowed = new[0] > old[0] or (old[0] == 0 and new[:2] > old[:2])
    assert allowed or breaking_changes(released, current) == [], (
        f"against docs/openapi/{last_release().name}; if it must be, raise the version in contract/version.py, "
        f"then `radii openapi --out docs/openapi/<version>.json` when it is released"
    )


def test_no_release_is_ahead_of_the_code() -> None:
    assert numbers(last_release().stem) <= numbers(__version__)


def test_a_document_is_as_good_as_itself(current: Document) -> None:
    assert breaking_changes(current, copy.deepcopy(current)) == []


def schemas(document: Document, name: str) -> Document:
    found: Document = document["components"]["schemas"][name]
    return found


def post(document: Document, path: str = "/certify/json") -> Document:
    found: Document = document["paths"][path]["post"]
    return found


def parameters(document: Document, path: str) -> list[Document]:
    found: list[Document] = document["paths"][path]["get"]["parameters"]
    return found


def parameter(document: Document, path: str, name: str) -> Document:
    return next(one for one in parameters(document, path) if one["name"] == name)


BREAKING: dict[str, tuple[Callable[[Document], Any], str]] = {
    "a path": (lambda d: d["paths"].pop("/models"), "GET /models is gone"),
    "a method": (lambda d: d["paths"]["/jobs/{job_id}"].pop("delete"), "DELETE /jobs/{job_id} is gone"),
    "an operation's name": (lambda d: post(d).update(operationId="other"), "operationId"),
    "a tag": (lambda d: post(d).update(tags=["other"]), "tags"),
    "a key": (lambda d: d["paths"]["/version"]["get"].update(security=[{"key": []}]), "needs a key"),
    "a parameter": (lambda d: parameters(d, "/regions").remove(parameter(d, "/regions", "limit")), "limit is gone"),
    "a parameter that must be": (
        lambda d: parameter(d, "/regions", "memory").update(required=True),
        "memory is required now",
    ),
    "a new parameter that must be": (
        lambda d: parameters(d, "/regions").append(
            {"in": "query", "name": "x", "required": True, "schema": {"type": "string"}}
        ),
        "parameter x is required now",
    ),
    "a parameter's limit": (
        lambda d: parameter(d, "/jobs/{job_id}", "wait")["schema"].update(maximum=10),
        "maximum was 30, is 10",
    ),
    "a media type": (
        lambda d: post(d)["requestBody"]["content"].update(
            {"text/json": post(d)["requestBody"]["content"].pop("application/json")}
        ),
        "application/json is gone",
    ),
    "a status": (lambda d: post(d)["responses"].pop("202"), "202 is answered no more"),
    "an answer's media type": (
        lambda d: post(d)["responses"]["422"].update(content={}), "application/problem+json is gone",
    ),
    "a header": (lambda d: post(d)["responses"]["202"]["headers"].pop("Location"), "header Location is gone"),
    "a header that always came": (
        lambda d: post(d)["responses"]["202"]["headers"]["Location"].update(required=False),
        "header Location is no longer always there",
    ),
    "a shared header": (
        lambda d: d["components"]["headers"]["Retry-After"]["schema"].update(type="string"),
        "Retry-After: type was integer, is string",
    ),
    "a body that must be": (
        lambda d: d["paths"]["/certificates/{certificate_id}/verify"]["post"].update(
            requestBody={"required": True, "content": {}}
        ),
        "a body is required now",
    ),
    "a field": (
        lambda d: schemas(d, "CertifyForm")["properties"].pop("fresh"), "CertifyForm/fresh is gone",
    ),
    "a field that must be": (
        lambda d: schemas(d, "CertifyForm")["required"].append("model"), "CertifyForm/model is required now",
    ),
    "a field's type": (
        lambda d: schemas(d, "CertifyForm")["properties"]["n"].update(type="string"), "type was integer",
    ),
    "a field's format": (
        lambda d: schemas(d, "CertifyForm")["properties"]["image"].pop("format"), "format was binary",
    ),
    "a field's items": (
        lambda d: schemas(d, "CertifyForm")["properties"]["sigma_grid"]["items"].update(type="string"),
        "items: type was number",
    ),
    "a field's null": (
        lambda d: schemas(d, "CertifyJsonRequest")["properties"].update(n={"type": "integer", "format": "int64"}),
        "may be null no more",
    ),
    "a field's least": (
        lambda d: schemas(d, "CertifyForm")["properties"]["n"].update(minimum=2), "minimum was 1, is 2",
    ),
    "a field's new limit": (
        lambda d: schemas(d, "CertifyForm")["properties"]["target_radius"].update(maximum=1),
        "maximum was None, is 1",
    ),
    "a field's pattern": (
        lambda d: schemas(d, "CertifyForm")["properties"]["seed"].update(pattern="^a$"), "pattern was",
    ),
    "a field's default": (
        lambda d: schemas(d, "CertifyForm")["properties"]["alpha"].update(default=0.01), "default was 0.001",
    ),
    "a value that can be asked for": (lambda d: schemas(d, "NoiseKind")["enum"].remove("uniform"), "'uniform'"),
    "values where all could be asked for": (
        lambda d: schemas(d, "CertifyForm")["properties"]["model"].update(enum=["one"]), "'anything'",
    ),
    "a member": (lambda d: schemas(d, "Radius")["properties"].pop("linf"), "Radius/linf is gone"),
    "a member that was always there": (
        lambda d: schemas(d, "Radius")["required"].remove("linf"), "Radius/linf is no longer always there",
    ),
    "a member's type": (
        lambda d: schemas(d, "Radius")["properties"]["l2"].update(type="string"), "type was number, is string",
    ),
    "a member that was never null": (
        lambda d: schemas(d, "Job")["properties"].update(
            model={"anyOf": [schemas(d, "Job")["properties"]["model"], {"type": "null"}]}
        ),
        "may be null now",
    ),
    "an answer's closed set": (lambda d: schemas(d, "JobStatus").pop("enum"), "may be anything now"),
    "a type's name": (
        lambda d: post(d)["responses"]["202"]["content"]["application/json"].update(
            schema={"$ref": "#/components/schemas/Version"}
        ),
        "the type was Job, is Version",
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", BREAKING)
def test_what_breaks_is_found(current: Document, change: str) -> None:
    """One change at a time, and the message says which."""
    mutate, words = BREAKING[change]
    changed = copy.deepcopy(current)
    mutate(changed)
    found = breaking_changes(current, changed)
    assert any(words in one for one in found), found


HARMLESS: dict[str, Callable[[Document], Any]] = {
    "a path": lambda d: d["paths"].update({"/new": d["paths"]["/version"]}),
    "a status": lambda d: post(d)["responses"].update({"429": post(d)["responses"]["503"]}),
    "a parameter": lambda d: parameters(d, "/regions").append(
        {"in": "query", "name": "x", "schema": {"type": "string"}}
    ),
    "a field": lambda d: schemas(d, "CertifyForm")["properties"].update(new={"type": "string"}),
    "a wider limit": lambda d: schemas(d, "CertifyForm")["properties"]["n"].update(maximum=10**9),
    "no limit": lambda d: schemas(d, "CertifyForm")["properties"]["n"].pop("maximum"),
    "no pattern": lambda d: schemas(d, "CertifyForm")["properties"]["seed"].pop("pattern"),
    "a value to ask for": lambda d: schemas(d, "NoiseKind")["enum"].append("laplace"),
    "a member": lambda d: schemas(d, "Radius")["properties"].update(l0={"type": "number"}),
    "a member that is never null now": lambda d: schemas(d, "Links")["properties"].update(
        certificate={"type": "string"}
    ),
    "a value to be answered with": lambda d: schemas(d, "ProblemCode")["enum"].append("new"),
    "words": lambda d: post(d).update(description="other", summary="other"),
    "a header": lambda d: post(d)["responses"]["202"]["headers"].update(X={"schema": {"type": "string"}}),
}


@pytest.mark.parametrize("change", HARMLESS)
def test_what_only_adds_is_no_breakage(current: Document, change: str) -> None:
    changed = copy.deepcopy(current)
    HARMLESS[change](changed)
    assert changed != current
    assert breaking_changes(current, changed) == []
