"""What the command line does when the API is busy, and when it takes the key back: a real API, a real command."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from typer.testing import CliRunner

from contract import keys
from radii.main import app
from service.app import create_app
from service.settings import Auth, ServiceSettings
from tests.service.keyring import make_keys
from tests.support.proxy import Link, Proxy
from tests.support.streams import blocked
from tests.support.waiting import until


@dataclass(frozen=True)
class Full:
    """An API with no place for another job."""

    http: httpx.Client
    url: str
    picture: str
    taken: str

    def refusals(self) -> int:
        """How often it has said so."""
        told = self.http.get("/metrics").text
        counts = re.findall(r'^radii_http_requests_total\{code="queue_full".*\} (\S+)$', told, re.MULTILINE)
        return int(sum(map(float, counts)))


@pytest.fixture
def full(
    redis_url: str, beat: Callable[..., None], serve_app: Any, png: bytes, tmp_path: Path
) -> Iterator[Full]:
    """Its only place is taken; with five engines, a job that takes five seconds is waited for one second."""
    for number in range(5):
        beat(engine_id=f"engine-{number}")
    picture = tmp_path / "picture.png"
    picture.write_bytes(png)
    settings = ServiceSettings(redis_url=redis_url, max_queued=1, catalogue_seconds=0)
    with serve_app(create_app(settings)) as url, httpx.Client(base_url=url) as http:
        taken = http.post("/certify", files={"image": png}, data={"model": "toy"}).json()["id"]
        yield Full(http, url, str(picture), taken)


@contextmanager
def command(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Runs the command line beside the test."""
    process = subprocess.Popen(
        [sys.executable, "-m", "radii", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def queued(redis: Redis) -> list[str]:
    found: Any = redis.lrange(f"rq:queue:{keys.QUEUE}", 0, -1)
    return [job.decode() for job in found]


def test_a_command_waits_for_a_place(full: Full, redis: Redis) -> None:
    """It says so in one line, however often it has to ask, and makes one job, under a key of its own."""
    with command("certify", full.picture, "--model", "toy", "--url", full.url, "--json") as ran:
        assert ran.stdout is not None
        assert ran.stderr is not None
        told = ran.stderr.readline()
        until(lambda: full.refusals() >= 2)
        full.http.delete(f"/jobs/{full.taken}")
        until(lambda: queued(redis) not in ([], [full.taken]))
        (job,) = queued(redis)
        full.http.delete(f"/jobs/{job}")
        printed, rest = ran.communicate(timeout=120)
    assert told.startswith("waiting 1 s, at most 300 s in all: Queue full: at most 1 jobs may wait")
    assert rest.split("\n") == [f"error job {job} cancelled: no reason is known", ""]
    assert (ran.returncode, printed) == (1, "")
    assert len(list(redis.scan_iter(keys.idempotency("*")))) == 1


@pytest.mark.parametrize("most", ["0", "0.9"])
def test_no_command_waits_longer_than_it_may(full: Full, most: str) -> None:
    """It gives up at once, where a wait would be in vain."""
    arguments = ["certify", full.picture, "--model", "toy", "--url", full.url, "--max-wait", most]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert "Queue full" in result.stderr
    assert "waiting" not in result.stderr
    assert full.refusals() == 1


def test_a_command_that_waits_can_be_interrupted(full: Full, redis: Redis) -> None:
    """It leaves no job behind."""
    with command("predict", full.picture, "--model", "toy", "--url", full.url) as ran:
        assert ran.stderr is not None
        assert ran.stderr.readline().startswith("waiting")
        ran.send_signal(signal.SIGINT)
        _, rest = ran.communicate(timeout=120)
    assert ran.returncode not in (0, -signal.SIGKILL)
    assert "Traceback" not in rest
    assert queued(redis) == [full.taken]


@pytest.fixture
def way(
    redis_url: str, beat: Callable[..., None], serve_app: Any
) -> Iterator[tuple[str, httpx.Client, Proxy]]:
    """An API behind a proxy that can go away as the API does while it is started again."""
    beat()
    with (
        serve_app(create_app(ServiceSettings(redis_url=redis_url))) as url,
        httpx.Client(base_url=url) as http,
        Proxy(httpx.URL(url).port or 0) as proxy,
    ):
        yield f"http://127.0.0.1:{proxy.port}", http, proxy


def test_a_command_waits_for_an_api_that_is_started_again(
    way: tuple[str, httpx.Client, Proxy], redis: Redis, png: bytes, tmp_path: Path
) -> None:
    """Its job is accepted, and goes on meanwhile."""
    (url, http, proxy), picture = way, tmp_path / "picture.png"
    picture.write_bytes(png)
    with command("certify", str(picture), "--model", "toy", "--url", url) as ran:
        assert ran.stderr is not None
        until(lambda: blocked(redis) == 1)
        proxy.set(Link.CUT)
        told = ran.stderr.readline()
        while not told.startswith("waiting"):
            told = ran.stderr.readline()
        proxy.set(Link.UP)
        until(lambda: blocked(redis) == 1)
        (job,) = queued(redis)
        http.delete(f"/jobs/{job}")
        _, rest = ran.communicate(timeout=120)
    assert told.startswith(f"waiting 1 s, at most 300 s in all: no radii server answers at {url}")
    assert f"job {job} cancelled" in rest


def test_a_command_that_gives_up_names_its_job(
    way: tuple[str, httpx.Client, Proxy], redis: Redis, png: bytes, tmp_path: Path
) -> None:
    """Somebody can ask for the answer later."""
    (url, _, proxy), picture = way, tmp_path / "picture.png"
    picture.write_bytes(png)
    with command("certify", str(picture), "--model", "toy", "--url", url, "--max-wait", "1") as ran:
        until(lambda: blocked(redis) == 1)
        proxy.set(Link.CUT)
        _, said = ran.communicate(timeout=120)
    assert ran.returncode == 1
    (job,) = queued(redis)
    assert f"job {job} was accepted" in " ".join(said.split())


def test_a_command_whose_key_is_revoked_ends(
    redis_url: str, redis: Redis, beat: Callable[..., None], serve_app: Any, png: bytes, tmp_path: Path
) -> None:
    """It follows a job by then, and does not follow it any longer."""
    beat()
    file, picture = tmp_path / "keys.json", tmp_path / "picture.png"
    picture.write_bytes(png)
    (key,) = make_keys(file, "ann")
    settings = ServiceSettings(redis_url=redis_url, auth=Auth.KEYS, api_keys_file=file)
    with (
        serve_app(create_app(settings)) as url,
        command("certify", str(picture), "--model", "toy", "--url", url, RADII_API_KEY=key) as ran,
    ):
        until(lambda: blocked(redis) == 1)
        make_keys(file, "bob")
        _, said = ran.communicate(timeout=120)
    assert ran.returncode == 1
    assert "Authentication required" in said
