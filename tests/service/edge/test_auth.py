"""Where nobody is asked for a key: on this machine alone, and only where that was said."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.choices import ProblemCode
from contract.problems import ProblemError
from service.app import create_app, create_app_from_environment
from service.edge.auth import admit_local, open_guard
from service.edge.callers import ANYBODY
from service.edge.headers import SecurityHeadersMiddleware
from service.edge.loopback import is_loopback
from service.settings import Auth, Misconfiguration, ServiceSettings

LAB = "https://lab.example"


@pytest.mark.parametrize(
    "host", [None, "0.0.0.0", "::", "192.168.1.5", "example.org", "localhost.evil.org", ""]
)
def test_it_does_not_start_open_to_others(host: str | None) -> None:
    """Nor where it is not known who can call."""
    with pytest.raises(Misconfiguration, match="RADII_HOST must be a loopback address") as raised:
        create_app(ServiceSettings(auth=Auth.OFF, host=host))
    assert (host or "none") in str(raised.value)
    assert "radii keys create" in str(raised.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.5.5.5", "::1", "localhost", "::ffff:127.0.0.1"])
def test_it_starts_without_keys_on_loopback(host: str) -> None:
    guard = open_guard(ServiceSettings(auth=Auth.OFF, host=host))
    assert guard({"client": ("127.0.0.1", 1), "headers": [(b"host", b"localhost")]}) is ANYBODY


def test_it_does_not_start_without_a_file_of_keys(tmp_path: Path) -> None:
    """It says what to do."""
    with pytest.raises(Misconfiguration, match="radii keys create NAME --file FILE"):
        create_app(ServiceSettings(auth=Auth.KEYS))
    with pytest.raises(Misconfiguration, match="'api_keys_file' must be a readable file"):
        create_app(ServiceSettings(auth=Auth.KEYS, api_keys_file=tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "RADII_API_KEYS_FILE must name a file"),
        ({"RADII_API_KEYS_FILE": ""}, "RADII_API_KEYS_FILE must name a file"),
        ({"RADII_AUTH": "off"}, "RADII_HOST must be a loopback address, got none"),
        ({"RADII_AUTH": "off", "RADII_HOST": "0.0.0.0"}, "got 0.0.0.0"),
        ({"RADII_AUTH": "never"}, "RADII_AUTH: Input should be 'keys' or 'off', got 'never'"),
        ({"RADII_CORS_ORIGINS": "*"}, "RADII_CORS_ORIGINS must be exact origins"),
        ({"RADII_CORS_ORIGINS": f"{LAB}/"}, "RADII_CORS_ORIGINS must be exact origins"),
        ({"RADII_REDIS_URL": "secret"}, "RADII_REDIS_URL must be redis://"),
        (
            {"RADII_REDIS_PASSWORD_FILE": "/nowhere"},
            "'redis_password_file' must be a file that holds a password",
        ),
    ],
)
def test_what_keeps_it_from_starting_is_told(
    environment: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it is started: this is what `uvicorn --factory` calls."""
    for name in ("RADII_AUTH", "RADII_HOST"):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as raised:
        create_app_from_environment()
    assert words in str(raised.value)
    assert "secret" not in str(raised.value)


def test_the_command_passes_on_where_it_listens() -> None:
    """`radii api` alone knows; it ends in one message, without a traceback."""
    words = [sys.executable, "-m", "radii", "api", "--host", "0.0.0.0", "--port", "1"]
    environment = {**os.environ, "RADII_AUTH": "off", "RADII_HOST": "127.0.0.1"}
    ran = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=60)
    assert ran.returncode != 0
    assert "got 0.0.0.0" in ran.stderr
    assert "Traceback" not in ran.stderr


def admit(client: str | None, *headers: tuple[str, str], origins: tuple[str, ...] = ()) -> bool:
    """Whether a request is let in where no key is asked for."""
    scope = {
        "type": "http",
        "client": None if client is None else (client, 1),
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }
    try:
        return admit_local(origins, scope) is ANYBODY
    except ProblemError as error:
        return error.problem.code is not ProblemCode.FORBIDDEN


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:80", "[::1]:8000", "[::1]"])
def test_this_machine_is_let_in(host: str) -> None:
    assert admit("127.0.0.1", ("host", host))
    assert admit("::1", ("host", host), ("origin", f"http://{host}"))


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.0.1",
        "127.0.0.1@evil.example", "evil.example#127.0.0.1", "0.0.0.0:8000", "", "[::1", "2130706433",
    ],
)  # fmt: skip
def test_a_name_that_was_made_to_point_here_is_refused(host: str) -> None:
    """A page of that name runs in a browser on this machine, so that the address is right."""
    assert not admit("127.0.0.1", ("host", host))
    assert not admit("127.0.0.1", ("host", "localhost"), ("host", host))


@pytest.mark.parametrize("client", ["192.168.0.7", "10.0.0.1", "2001:db8::1", "testclient", "", None])
def test_other_machines_are_refused(client: str | None) -> None:
    assert not admit(client, ("host", "localhost"))


def test_others_whom_a_proxy_on_this_machine_names_are_refused() -> None:
    """They seem to be here, and it says where they are."""
    local = ("host", "localhost")
    assert admit("127.0.0.1", local, ("x-forwarded-for", "127.0.0.1, ::1"))
    assert not admit("127.0.0.1", local, ("x-forwarded-for", "192.0.2.1"))
    assert not admit("127.0.0.1", local, ("x-forwarded-for", "127.0.0.1"), ("x-forwarded-for", "unknown"))


def test_no_host_is_refused() -> None:
    assert not admit("127.0.0.1")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "file://", "http://192.168.0.1", LAB])
def test_pages_of_others_are_refused(origin: str) -> None:
    """A browser lets them send a form anywhere, even where they may not read the answer."""
    assert not admit("127.0.0.1", ("host", "localhost:8000"), ("origin", origin))


def test_a_page_that_was_allowed_is_let_in() -> None:
    assert admit("127.0.0.1", ("host", "localhost"), ("origin", LAB), origins=(LAB,))


def test_what_is_not_known_is_not_this_machine() -> None:
    assert not any(map(is_loopback, (None, "", "256.0.0.1", "::2", "127.0.0.1 ", "localhost.")))


def test_rebinding_is_refused_by_the_running_api(bare_api: httpx.Client) -> None:
    """Whatever the path; the problem says why."""
    for path in ("/models", "/livez", "/docs", "/nowhere"):
        response = bare_api.get(path, headers={"Host": "evil.example"})
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")
        assert "'Host'" in response.json()["detail"]


# Headers for browsers.


@pytest.fixture
def lab_api(redis_url: str, serve_app: Callable[..., Any]) -> Iterator[httpx.Client]:
    """An API that pages of one other origin may use; it has a route that fails."""
    app = create_app(ServiceSettings(redis_url=redis_url, cors_origins=(LAB, "http://localhost:3000")))

    @app.get("/fails")
    def fails() -> None:
        raise RuntimeError("on purpose")

    with serve_app(app) as url, httpx.Client(base_url=url) as client:
        yield client


def test_pages_of_other_origins_may_not_read_unless_told(bare_api: httpx.Client) -> None:
    response = bare_api.get("/models", headers={"Origin": "http://localhost:3000"})
    assert response.status_code == 200
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("path", "status"), [("/models", 200), ("/jobs/x", 404), ("/nowhere", 404), ("/fails", 500)]
)
def test_an_allowed_page_reads_everything(lab_api: httpx.Client, path: str, status: int) -> None:
    """Errors as well, ours included, and the headers that it needs."""
    response = lab_api.get(path, headers={"Origin": LAB})
    assert response.status_code == status
    assert response.headers["Access-Control-Allow-Origin"] == LAB
    assert "Access-Control-Allow-Credentials" not in response.headers
    exposed = response.headers["Access-Control-Expose-Headers"]
    for name in ("Location", "Retry-After", "X-Request-ID", "Preference-Applied", "Idempotency-Replayed"):
        assert name in exposed
    assert "Origin" in response.headers["Vary"]


def test_browsers_may_ask_first(lab_api: httpx.Client) -> None:
    """They do so without a key."""
    asked = {
        "Origin": LAB,
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": "x-api-key,idempotency-key,prefer,last-event-id,content-type",
    }
    response = lab_api.options("/jobs/x", headers=asked)
    assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (200, LAB)
    for change in (
        {"Origin": "https://evil.example"},
        {"Access-Control-Request-Method": "PUT"},
        {"Access-Control-Request-Headers": "x-other"},
    ):
        response = lab_api.options("/jobs/x", headers=asked | change)
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")
        assert response.headers["Content-Type"] == "application/problem+json"
    assert lab_api.get("/livez", headers={"Origin": "https://evil.example"}).status_code == 403


def test_every_answer_tells_browsers_to_be_careful(lab_api: httpx.Client) -> None:
    """Problems and errors of ours as well; the page that shows the documentation may load its script."""
    for path in ("/livez", "/models", "/nowhere", "/fails", "/openapi.json", "/docs"):
        headers = lab_api.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        policy = headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy
        assert ("default-src 'none'" in policy) is (path != "/docs")
    refused = lab_api.options("/", headers={"Origin": LAB, "Access-Control-Request-Method": "PUT"})
    assert refused.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "own", "policy"),
    [
        ("/page/app.js", "default-src 'self'; img-src blob:", "default-src 'self'; img-src blob:"),
        ("/page/app.js", None, "default-src 'none'; frame-ancestors 'none'"),
    ],
)
def test_a_route_may_say_what_its_page_loads(
    path: str, own: str | None, policy: str, serve_app: Callable[..., Any]
) -> None:
    """Without a policy of its own, nothing is loaded."""
    from fastapi import FastAPI, Response

    app = FastAPI()
    app.add_middleware(SecurityHeadersMiddleware)

    @app.get(path)
    def page() -> Response:
        return Response(headers={} if own is None else {"Content-Security-Policy": own})

    with serve_app(app) as url:
        assert httpx.get(f"{url}{path}").headers.get_list("Content-Security-Policy") == [policy]
