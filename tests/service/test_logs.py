"""The API's lines: one JSON object each, one for every request, and nothing in them that is nobody's business."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from tests.support.service import is_there
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]


class Api:
    """A process of its own, whose standard error is a file."""

    def __init__(self, folder: Path, redis_url: str, **environment: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self._log = folder / "api.log"
        command = [sys.executable, "-m", "radii", "api", "--port", str(self.port)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env={**os.environ, "RADII_REDIS_URL": redis_url, **environment}, stderr=log, cwd=ROOT
            )
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=20)

    def wait(self) -> None:
        until(lambda: is_there(str(self.http.base_url)), "the API did not start")

    def text(self) -> str:
        return self._log.read_text()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]

    def requests(self, number: int) -> list[dict[str, Any]]:
        """The lines about so many requests; the last one is written just after its answer."""
        until(lambda: len(self._requests()) >= number, self._requests)
        found = self._requests()
        assert len(found) == number
        return found

    def _requests(self) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["event"] == "request"]


@pytest.fixture
def start(tmp_path: Path, redis_url: str) -> Iterator[Callable[..., Api]]:
    """Starts an API and waits until it answers."""
    started: list[Api] = []

    def begin(url: str = redis_url, **environment: str) -> Api:
        api = Api(tmp_path, url, **environment)
        started.append(api)
        api.wait()
        return api

    yield begin
    for api in started:
        api.http.close()
        api.process.kill()
        api.process.wait()


def test_a_request_is_one_line_without_what_was_sent(
    start: Callable[..., Api], beat: Callable[..., None], png: bytes
) -> None:
    """Route templates, not paths; no query, no body, no header but the id."""
    beat()
    api = start()
    api.http.get("/jobs/" + "a" * 32, params={"secret": "s3cret-query"}, headers={"X-API-Key": "s3cret-key"})
    api.http.get("/nowhere/s3cret-path")
    submitted = api.http.post("/certify", files={"image": ("s3cret.png", png)}, data={"model": "toy"})
    lines = api.requests(3)
    assert [(line["method"], line["route"], line["status"]) for line in lines] == [
        ("GET", "/jobs/{job_id}", 404),
        ("GET", "none", 404),
        ("POST", "/certify", 202),
    ]
    assert [line.get("code") for line in lines] == ["not_found", "not_found", None]
    assert lines[2]["job_id"] == submitted.json()["id"]
    assert lines[2]["request_id"] == submitted.headers["X-Request-ID"]
    assert "s3cret" not in api.text()
    for line in lines:
        assert line["process"] == "api"
        assert line["level"] == "info"
        assert line["timestamp"].endswith("Z")


def test_probes_are_told_to_those_who_ask_for_more(start: Callable[..., Api]) -> None:
    api = start(RADII_LOG_LEVEL="debug")
    api.http.get("/livez")
    assert api.requests(2)[1]["route"] == "/livez"


def test_an_error_of_a_library_is_a_line_too(start: Callable[..., Api]) -> None:
    """Uvicorn says so itself when it cannot listen."""
    api = start()
    second = subprocess.run(
        [sys.executable, "-m", "radii", "api", "--port", str(api.port)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    (line,) = [json.loads(line) for line in second.stderr.splitlines()]
    assert (line["level"], line["logger"], line["process"]) == ("error", "uvicorn.error", "api")
    assert str(api.port) in line["event"]


def test_an_error_of_ours_is_one_line_with_its_traceback(start: Callable[..., Api], redis: Redis) -> None:
    """And with the id that the client was told; no variables, which may hold images and passwords."""
    redis.zadd("radii:engines", {"broken": redis.time()[0]})
    redis.set("radii:engine:broken", '"s3cret"')
    api = start()
    answer = api.http.get("/models", headers={"X-Request-ID": "mine"})
    assert answer.status_code == 500
    (request,) = api.requests(1)
    (error,) = [line for line in api.lines() if line["event"] == "internal_error"]
    assert error["request_id"] == "mine"
    assert error["exception"].startswith("Traceback")
    assert (request["status"], request["code"], request["route"]) == (500, "internal_error", "/models")


def test_lines_for_people_are_asked_for(start: Callable[..., Api]) -> None:
    api = start(RADII_LOG_FORMAT="console")
    api.http.get("/version")
    api.http.get("/version")
    line, *_ = api.text().splitlines()
    assert "route=/version" in line
    assert not line.startswith("{")


def test_less_can_be_asked_for(start: Callable[..., Api]) -> None:
    api = start(RADII_LOG_LEVEL="warning")
    api.http.get("/version")
    api.http.get("/version")
    assert api.text() == ""


def test_a_stopping_process_says_so_first_and_ends_with_0(
    start: Callable[..., Api], beat: Callable[..., None], png: bytes
) -> None:
    """A load balancer has time to look elsewhere: what it sends until then is served, waits end at once."""
    beat()
    api = start(RADII_DRAIN_SECONDS="2.5")
    assert api.http.get("/readyz").status_code == 200
    api.process.terminate()
    ready = until(lambda: refused if (refused := api.http.get("/readyz")).is_error else None)
    assert ready.json()["code"] == "stopping"
    assert "Retry-After" in ready.headers
    for _ in range(5):  # new connections are taken
        assert httpx.get(f"http://127.0.0.1:{api.port}/livez").status_code == 200
    job = api.http.post(
        "/certify", files={"image": ("image", png)}, data={"model": "toy"}, headers={"Prefer": "wait=30"}
    )
    assert job.status_code == 202
    assert job.elapsed.total_seconds() < 20  # of the 30 that it asked for
    assert api.process.wait(60) == 0
    assert not [line for line in api.lines() if line["level"] == "error"]


def test_a_second_signal_ends_it_at_once(start: Callable[..., Api]) -> None:
    """Though it was given a minute."""
    api = start(RADII_DRAIN_SECONDS="60")
    api.process.terminate()
    until(lambda: api.http.get("/readyz").json().get("code") == "stopping")
    api.process.terminate()
    assert api.process.wait(50) == 0  # of the minute
