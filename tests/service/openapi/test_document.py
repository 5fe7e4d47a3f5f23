"""The document as generators meet it: valid in both dialects, with true examples, and a page that needs no internet."""

import asyncio
import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import Depends, FastAPI
from fastapi.security import APIKeyHeader
from openapi_schema_validator import OAS30Validator, OAS31Validator
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from pydantic import BaseModel

from contract.choices import ProblemCode
from service.app import create_app, describe_api
from service.openapi.dialect_3_0 import to_openapi_3_0
from service.openapi.document import problem_responses, use_openapi
from service.openapi.examples import EXAMPLES, read_examples
from service.settings import Auth, ServiceSettings

Document = dict[str, Any]

DOCS = Path(__file__).parents[3] / "docs"
AGAIN = "the document has changed: `make openapi`, and look at the difference"
DESCRIBED = describe_api()
OPERATIONS = {one["operationId"]: one for path in DESCRIBED["paths"].values() for one in path.values()}


@pytest.fixture(scope="module")
def older() -> Document:
    return to_openapi_3_0(DESCRIBED)


def test_both_dialects_are_valid(older: Document) -> None:
    assert (DESCRIBED["openapi"], older["openapi"]) == ("3.1.0", "3.0.3")
    OpenAPIV31SpecValidator(DESCRIBED).validate()
    OpenAPIV30SpecValidator(older).validate()


def test_both_are_served(bare_api: httpx.Client, older: Document) -> None:
    assert bare_api.get("/openapi.json").json() == DESCRIBED
    assert bare_api.get("/openapi-3.0.json").json() == older


@pytest.mark.parametrize("path", ["/openapi.json", "/openapi-3.0.json"])
def test_behind_a_proxy_the_document_names_the_path(path: str) -> None:
    """A generated client must not lose the prefix."""
    app = create_app(ServiceSettings.model_construct(auth=Auth.OFF, host="127.0.0.1"))

    async def fetch() -> Document:
        transport = httpx.ASGITransport(app, root_path="/radii")
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            found: Document = (await client.get(f"/radii{path}")).json()
            return found

    assert asyncio.run(fetch())["servers"] == [{"url": "/radii"}]


def test_the_command_prints_the_committed_document(tmp_path: Path) -> None:
    """Without a server, and without anything that computes."""
    program = (
        "import sys; from radii.main import app; app(sys.argv[1:], standalone_mode=False);"
        "print([name for name in ('torch', 'numpy', 'smoothing') if name in sys.modules], file=sys.stderr)"
    )
    for version, file in (("3.1", DOCS / "openapi.json"), ("3.0", None)):
        command = [sys.executable, "-c", program, "openapi", "--version", version]
        printed = subprocess.run(command, capture_output=True, text=True, check=True)
        assert printed.stderr == "[]\n"
        assert json.loads(printed.stdout)["openapi"].startswith(version)
        if file is not None:
            assert printed.stdout == file.read_text(), AGAIN
    subprocess.run([*command, "--out", str(tmp_path / "document.json")], check=True, capture_output=True)
    assert (tmp_path / "document.json").read_text() == printed.stdout


def test_every_answer_declares_its_headers() -> None:
    """The id of the request always; when to come again, where that makes sense; and where the answer is."""
    for operation in OPERATIONS.values():
        for status, response in operation["responses"].items():
            headers = set(response["headers"])
            assert "X-Request-ID" in headers
            assert ("Retry-After" in headers) == (status in ("429", "503"))
    for name in ("certify", "certify_json", "predict", "predict_json"):
        assert {"Location", "Preference-Applied"} <= OPERATIONS[name]["responses"]["202"]["headers"].keys()
    assert "ETag" in OPERATIONS["get_certificate"]["responses"]["304"]["headers"]


def test_tags_and_answers_are_described() -> None:
    described = {tag["name"] for tag in DESCRIBED["tags"] if tag["description"]}
    assert {operation["tags"][0] for operation in OPERATIONS.values()} == described
    for operation in OPERATIONS.values():
        for response in operation["responses"].values():
            assert response["description"] not in ("", "Successful Response")


def test_no_schema_has_a_member_of_its_own_name() -> None:
    """openapi-python-client would make one variable of both, and its code would not pass a type check."""
    for name, schema in DESCRIBED["components"]["schemas"].items():
        own = {member: one for member, one in schema.get("properties", {}).items() if "type" not in one}
        assert name.lower() not in {member.replace("_", "") for member in own}


def test_nothing_outside_of_json_may_be_null() -> None:
    """A form and an address can only leave something out."""
    forms = [DESCRIBED["components"]["schemas"][name] for name in ("CertifyForm", "PredictForm")]
    parameters = [one for operation in OPERATIONS.values() for one in operation.get("parameters", [])]
    assert "null" not in json.dumps([forms, parameters])


class Answer(BaseModel):
    """An answer of an operation that some release adds."""

    value: int


def test_an_operation_that_needs_a_key_can_refuse() -> None:
    """401 and 403 come with the key; every operation may meet an error of ours; the others need none."""
    app = FastAPI()
    key = APIKeyHeader(name="X-API-Key", auto_error=False)

    @app.get("/closed", tags=["models"], dependencies=[Depends(key)], responses=problem_responses())
    def closed() -> Answer:
        raise NotImplementedError

    @app.get("/open", tags=["models"])
    def open_to_all() -> Answer:
        raise NotImplementedError

    use_openapi(app)
    paths = app.openapi()["paths"]
    assert set(paths["/closed"]["get"]["responses"]) == {"200", "401", "403", "429", "500", "503"}
    assert "application/problem+json" in paths["/closed"]["get"]["responses"]["401"]["content"]
    assert set(paths["/open"]["get"]["responses"]) == {"200", "500"}
    assert paths["/open"]["get"]["security"] == []
    OpenAPIV31SpecValidator(app.openapi()).validate()


def test_problems_are_declared_by_status_or_by_code() -> None:
    """A status stands for its codes, but for those that only a job can end with."""
    found = problem_responses(409, ProblemCode.INVALID_FIELD)
    assert found[409]["description"] == "Problem: `job_finished`"
    assert found[422]["description"] == "Problem: `invalid_field`"
    assert "`store_unavailable`" in found[503]["description"]


# What 3.1 says, and what 3.0.3 says for it.
@pytest.mark.parametrize(
    ("newer", "expected"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string", "nullable": True}),
        ({"type": ["integer", "null"]}, {"type": "integer", "nullable": True}),
        (
            {"anyOf": [{"$ref": "#/components/schemas/One"}, {"type": "null"}], "description": "x"},
            {
                "allOf": [{"$ref": "#/components/schemas/One"}],
                "type": "object",
                "nullable": True,
                "description": "x",
            },
        ),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
         {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 1, "exclusiveMaximum": True}),
        ({"const": "a", "type": "string"}, {"enum": ["a"], "type": "string"}),
        ({"type": "string", "examples": ["a", "b"]}, {"type": "string", "example": "a"}),
        ({"type": "string", "contentMediaType": "application/octet-stream"},
         {"type": "string", "format": "binary"}),
        ({"type": "string", "contentEncoding": "base64"}, {"type": "string", "format": "byte"}),
        ({"$ref": "#/components/schemas/One"}, {"$ref": "#/components/schemas/One"}),
        ({"$ref": "#/components/schemas/One", "default": 1},
         {"allOf": [{"$ref": "#/components/schemas/One"}], "default": 1}),
        ({"type": "array", "prefixItems": [{"const": 1}]},
         {"type": "array", "items": {"enum": [1]}}),
        ({"type": "object", "additionalProperties": {"const": 1}, "properties": {"schema": {"const": 2}}},
         {"type": "object", "additionalProperties": {"enum": [1]}, "properties": {"schema": {"enum": [2]}}}),
        ({"type": ["string", "integer", "null"]},
         {"anyOf": [{"type": "string"}, {"type": "integer"}], "nullable": True}),
    ],
)  # fmt: skip
def test_the_older_dialect_says_the_same(newer: Document, expected: Document) -> None:
    """As a schema of a component, and as one in an operation; what was given stays as it was."""
    document = {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1", "license": {"name": "x", "identifier": "MIT"}},
        "paths": {"/": {"get": {"responses": {"200": {"content": {"a/b": {"schema": newer}}}}}}},
        "components": {"schemas": {"One": {"type": "object"}, "Two": newer}},
        "webhooks": {},
    }
    before = json.dumps(document)
    older = to_openapi_3_0(document)
    assert older["components"]["schemas"]["Two"] == expected
    content = older["paths"]["/"]["get"]["responses"]["200"]["content"]
    assert content["a/b"]["schema"] == expected
    assert "webhooks" not in older
    assert older["info"]["license"] == {"name": "x"}
    assert json.dumps(document) == before


def test_examples_are_data_in_either_dialect(older: Document) -> None:
    """A member called `schema` or a null in an answer is not rewritten."""
    answers = (
        document["paths"]["/certify"]["post"]["responses"]["200"]["content"]["application/json"]["example"]
        for document in (DESCRIBED, older)
    )
    assert next(answers) == next(answers) == read_examples("certify")["responses"]["200"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_examples_are_of_the_types_that_they_stand_by(name: str, older: Document) -> None:
    """Every answer of success has one, and every body that can be sent; they fit both dialects' schemas."""
    older_operations = {one["operationId"]: one for path in older["paths"].values() for one in path.values()}
    for document, operation, kind in (
        (DESCRIBED, OPERATIONS[name], OAS31Validator),
        (older, older_operations[name], OAS30Validator),
    ):
        bodies = dict(operation["responses"])
        if "requestBody" in operation:
            bodies["request"] = operation["requestBody"]
        for status, body in bodies.items():
            for media in body.get("content", {}).values():
                if status == "request" or status.startswith("2"):
                    assert "example" in media, f"no example of {name} {status}: `make examples`"
                if "example" in media:
                    schema = {**media["schema"], "components": document["components"]}
                    kind(_as_generators_read(schema)).validate(media["example"])


def _as_generators_read(node: Any) -> Any:
    """3.0.3 has no way to say "that type or null" which generators know and a strict validator takes."""
    if isinstance(node, list):
        return [_as_generators_read(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _as_generators_read(value) for key, value in node.items()}
    if node.get("nullable") is True and "allOf" in node:
        return {"anyOf": [node["allOf"][0], {"nullable": True, "enum": [None], "type": node["type"]}]}
    return node


def test_no_example_is_of_what_is_not_there() -> None:
    """A status that an operation does not declare, or an operation that is gone."""
    for file in EXAMPLES.glob("*.json"):
        assert file.stem in OPERATIONS
        recorded = read_examples(file.stem)["responses"]
        assert recorded.keys() <= OPERATIONS[file.stem]["responses"].keys()


class _Addresses(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href", "action") and value]


def test_the_documentation_needs_no_internet(bare_api: httpx.Client) -> None:
    """All that the page loads comes from this server; nothing sends the document to another to be judged."""
    page = bare_api.get("/docs").text
    parser = _Addresses()
    parser.feed(page)
    assert len(parser.found) == 3
    for address in parser.found:
        assert urlsplit(address).netloc == ""
        response = bare_api.get(address)
        assert response.status_code == 200
        assert len(response.content) > 500
        assert "max-age" in response.headers["Cache-Control"]
    assert "://" not in page
    assert '"validatorUrl": null' in page
    assert "'/openapi.json'" in page
    style = bare_api.get("/docs/swagger-ui.css").text
    assert "url(http" not in style
    assert "@import" not in style


def test_no_other_file_is_given_out(bare_api: httpx.Client) -> None:
    for name in ("__init__.py", "..%2fmain.py", "main.py"):
        response = bare_api.get(f"/docs/{name}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert bare_api.get("/redoc").status_code == 404
