"""The application as a whole: what it loads, how it stops, how it describes itself."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from contract import __version__
from contract.choices import ProblemCode
from service.app import create_app, create_app_from_environment
from service.settings import ServiceSettings
from tests.support.service import is_there
from tests.support.waiting import until


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADII_REDIS_URL", "redis://elsewhere:1/2")
    monkeypatch.setenv("RADII_DEFAULT_MODEL", "toy")
    assert not ServiceSettings().allow_volatile_memory
    monkeypatch.setenv("RADII_ALLOW_VOLATILE_MEMORY", "1")
    settings = ServiceSettings()
    assert (settings.redis_url, settings.default_model) == ("redis://elsewhere:1/2", "toy")
    assert settings.allow_volatile_memory
    assert create_app_from_environment().version == __version__


def test_version_and_docs(bare_api: httpx.Client) -> None:
    assert bare_api.get("/version").json() == {"version": __version__}
    assert bare_api.get("/docs").status_code == 200


def test_open_streams_do_not_keep_it_from_stopping(
    redis_url: str, beat: Callable[..., None], png: bytes
) -> None:
    """A process that is told to stop ends its event streams, and is gone in a second or two."""
    beat()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", "service.app:create_app_from_environment"]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--log-level", "critical"],
        env={**os.environ, "RADII_REDIS_URL": redis_url},
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            until(lambda: is_there(str(client.base_url)))
            fields = {"model": "toy"}
            job_id = client.post("/certify", files={"image": ("image", png)}, data=fields).json()["id"]
            with client.stream("GET", f"/jobs/{job_id}/events") as response:
                lines = response.iter_lines()
                next(lines)
                process.send_signal(signal.SIGTERM)
                assert not any(line.startswith("event: job") for line in lines)
        assert process.wait(timeout=60) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(ServiceSettings()).openapi()


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def test_operations_have_one_name_and_one_tag(operations: list[dict[str, Any]]) -> None:
    """Generators make a function and a module of them."""
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert all(len(operation["tags"]) == 1 for operation in operations)
    assert all(operation["description"] for operation in operations)


def test_problems_are_declared_as_they_are_sent(operations: list[dict[str, Any]]) -> None:
    """One media type, one schema, for every status that is not a 2xx and has a body."""
    for operation in operations:
        for status, response in operation["responses"].items():
            if status[0] in "45":
                (media,) = response["content"].items()
                assert media[0] == "application/problem+json"
                assert media[1]["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_files_are_described_as_generators_read_them(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["CertifyForm"]["properties"]["image"]["format"] == "binary"
    assert schemas["CertifyJsonRequest"]["properties"]["image"]["format"] == "byte"
    content = document["paths"]["/certify"]["post"]["requestBody"]["content"]
    assert "image/png" in content["multipart/form-data"]["encoding"]["image"]["contentType"]
    assert list(document["paths"]["/certify/json"]["post"]["requestBody"]["content"]) == ["application/json"]


def test_document_has_nothing_that_generators_misread(document: dict[str, Any]) -> None:
    """No leftovers of the framework, no unions but "or null", no titles of members."""
    text = str(document)
    assert "HTTPValidationError" not in text
    assert "contentMediaType" not in text
    assert "oneOf" not in text
    assert "discriminator" not in text
    for schema in document["components"]["schemas"].values():
        for member in schema.get("properties", {}).values():
            assert "title" not in member
            kinds = [kind for kind in member.get("anyOf", []) if kind != {"type": "null"}]
            assert len(kinds) <= 1


def test_answers_always_hold_every_member(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in ("Job", "Progress", "Certificate", "Problem", "ModelInfo", "RegionPage", "Region"):
        assert schemas[name]["required"] == list(schemas[name]["properties"])
    assert schemas["CertifyForm"]["required"] == ["image"]


def test_every_problem_code_is_described(document: dict[str, Any]) -> None:
    assert set(document["components"]["schemas"]["ProblemCode"]["enum"]) == {
        code.value for code in ProblemCode
    }
