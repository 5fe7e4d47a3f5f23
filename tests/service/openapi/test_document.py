"""The OpenAPI document: valid, with true examples, and shown by a page that needs no internet."""

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
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel

from contract.choices import ProblemCode
from service.app import create_app, describe_api
from service.openapi.document import use_openapi
from service.openapi.examples import EXAMPLES, read_examples
from service.openapi.responses import problem_responses
from service.settings import Auth, ServiceSettings

Document = dict[str, Any]

DESCRIBED = describe_api()
OPERATIONS = {one["operationId"]: one for path in DESCRIBED["paths"].values() for one in path.values()}


def test_the_document_is_valid_and_served(bare_api: httpx.Client) -> None:
    assert DESCRIBED["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(DESCRIBED).validate()
    assert bare_api.get("/openapi.json").json() == DESCRIBED


def test_summaries_are_the_first_sentences() -> None:
    """Not the names of functions."""
    for operation in OPERATIONS.values():
        assert operation["summary"]
        assert operation["description"].startswith(f"{operation['summary']}.")


def test_behind_a_proxy_the_document_names_the_path() -> None:
    """A generated client must not lose the prefix."""
    app = create_app(ServiceSettings.model_construct(auth=Auth.OFF, host="127.0.0.1"))

    async def fetch() -> Document:
        transport = httpx.ASGITransport(app, root_path="/radii")
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            found: Document = (await client.get("/radii/openapi.json")).json()
            return found

    assert asyncio.run(fetch())["servers"] == [{"url": "/radii"}]


def test_the_command_prints_the_document(tmp_path: Path) -> None:
    """Without a server, and without anything that computes."""
    program = (
        "import sys; from radii.main import app; app(sys.argv[1:], standalone_mode=False);"
        "print([name for name in ('torch', 'numpy', 'smoothing') if name in sys.modules], file=sys.stderr)"
    )
    command = [sys.executable, "-c", program, "openapi"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert printed.stderr == "[]\n"
    assert json.loads(printed.stdout) == DESCRIBED
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


@pytest.mark.parametrize("name", OPERATIONS)
def test_examples_are_of_the_types_that_they_stand_by(name: str) -> None:
    """Every answer of success has one, and every body that can be sent; they fit their schemas."""
    bodies = dict(OPERATIONS[name]["responses"])
    if "requestBody" in OPERATIONS[name]:
        bodies["request"] = OPERATIONS[name]["requestBody"]
    for status, body in bodies.items():
        for media in body.get("content", {}).values():
            if status == "request" or status.startswith("2"):
                assert "example" in media, f"no example of {name} {status}: `make examples`"
            if "example" in media:
                schema = {**media["schema"], "components": DESCRIBED["components"]}
                OAS31Validator(schema).validate(media["example"])


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
