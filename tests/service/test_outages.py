"""What a submission is told when the store fails, or the disk, while it is under way."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from redis import Redis

from contract import keys
from contract.jobs import Job
from radii.stack import free_port
from service.app import create_app
from service.settings import ServiceSettings
from tests.support.proxy import Link, Proxy
from tests.support.streams import blocked
from tests.support.waiting import until

_TIMEOUT = 0.7


@pytest.fixture
def link(redis_url: str) -> Iterator[Proxy]:
    """The way to the store, which can be cut."""
    port = urlsplit(redis_url).port
    assert port is not None
    with Proxy(port) as proxy:
        yield proxy


@pytest.fixture
def api(link: Proxy, serve_app: Callable[..., Any], beat: Callable[..., None]) -> Iterator[httpx.Client]:
    """An API that reaches the store by that way."""
    beat()
    settings = ServiceSettings(
        redis_url=f"redis://127.0.0.1:{link.port}/0", redis_timeout=_TIMEOUT, rate_limit_submit="off"
    )
    with serve_app(create_app(settings)) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def submit(api: httpx.Client, png: bytes, **headers: str) -> httpx.Response:
    return api.post("/certify", files={"image": ("image", png)}, data={"model": "toy"}, headers=headers)


@pytest.mark.parametrize("failure", [Link.CUT, Link.SILENT])
def test_a_job_that_was_taken_is_named_though_the_store_fails(
    api: httpx.Client, link: Proxy, redis: Redis, png: bytes, failure: Link
) -> None:
    """While it is waited for: a client that were refused would send the image again, and have two jobs."""
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(submit, api, png, Prefer="wait=30")
        until(lambda: blocked(redis) == 1)
        link.set(failure)
        response = answer.result()
    assert response.status_code == 202
    assert "Preference-Applied" not in response.headers  # it was not waited for so long
    job = Job.model_validate_json(response.content)
    assert response.headers["Location"] == f"/jobs/{job.id}"
    assert redis.exists(keys.submission(job.id))
    link.set(Link.UP)
    assert api.get(response.headers["Location"]).json()["id"] == job.id


def test_a_request_that_is_repeated_while_the_store_fails_is_refused(
    api: httpx.Client, link: Proxy, redis: Redis, png: bytes
) -> None:
    """Its job may have ended long ago, and its key makes it safe to ask again."""
    again = {"Idempotency-Key": "mine"}
    assert submit(api, png, **again).status_code == 202
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(submit, api, png, Prefer="wait=30", **again)
        until(lambda: blocked(redis) == 1)
        link.set(Link.CUT)
        assert answer.result().status_code == 503


def test_a_silent_store_is_noticed_by_all_at_once(api: httpx.Client, link: Proxy, png: bytes) -> None:
    """Submissions do not queue for the threads of others that wait for an answer in vain."""
    assert submit(api, png).status_code == 202
    link.set(Link.SILENT)
    began = time.monotonic()
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda _: submit(api, png), range(24)))
    assert {answer.status_code for answer in answers} == {503}
    in_turn = 24 / 4 * 4 * _TIMEOUT  # four threads, each of them for four timeouts at a time
    assert time.monotonic() - began < 0.7 * in_turn


def test_a_body_that_finds_no_room_on_disk_is_not_called_malformed(
    redis_url: str, beat: Callable[..., None], picture: Callable[..., bytes], tmp_path: Path
) -> None:
    """Large bodies are put on disk as they come; a process that may write no file stands for a full one."""
    beat()
    port, log = free_port(), tmp_path / "log"
    command = f"ulimit -f 0; exec {sys.executable} -m radii api --port {port}"
    with subprocess.Popen(
        ["sh", "-c", f"({command}) 2>&1 | cat > {log}"],  # a pipe is no file
        env={**os.environ, "RADII_REDIS_URL": redis_url, "RADII_LOG_FORMAT": "json"},
        start_new_session=True,
    ) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
                until(lambda: _listens(port))
                assert submit(client, picture()).status_code == 202
                refused = submit(client, picture("RGB", (1000, 1000), file="BMP"))
            until(lambda: "body_not_kept" in log.read_text())  # before its pipe is cut
        finally:
            os.killpg(process.pid, signal.SIGTERM)
    assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
    assert int(refused.headers["Retry-After"]) > 0


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
