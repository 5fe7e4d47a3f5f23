"""The client and a real API: refusals, jobs that end without an answer, and jobs that are given up."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from redis import Redis

from contract import keys
from contract.choices import JobStatus, ProblemCode
from radii.client import Client
from radii.errors import JobFailed, ServerRefused, ServerUnavailable
from radii.http_messages import require_success
from tests.support.streams import blocked
from tests.support.waiting import until


@pytest.fixture
def client(api: httpx.Client) -> Iterator[Client]:
    """A client that does not wait for a busy server."""
    with Client(str(api.base_url), max_wait=0) as client:
        yield client


def queued(redis: Redis) -> int:
    number: Any = redis.llen(f"rq:queue:{keys.QUEUE}")
    return int(number)


def test_a_refusal_carries_the_problem(client: Client, png: bytes) -> None:
    """What the server says, for programs and for people."""
    with pytest.raises(ServerRefused, match="nonsense") as raised:
        client.certify(png, model="nonsense")
    assert raised.value.problem is not None
    assert raised.value.problem.code is ProblemCode.UNKNOWN_MODEL


def test_what_is_sent_is_what_was_given(client: Client, png: bytes, redis: Redis) -> None:
    """Nothing else, so that defaults are the server's; None is no value; a job is there once."""
    job = client.submit(png, model="toy", sigma_grid=[0.25, 0.5], adapt=False, seed=None)
    assert client.job(job.id).model == "toy"
    assert queued(redis) == 1


def test_a_job_without_an_answer_is_an_error(client: Client, png: bytes) -> None:
    """It carries the job."""
    job = client.submit(png, model="toy")
    client.cancel(job.id)
    *_, last = client.follow(job)
    assert not isinstance(last, type(job.progress))
    with pytest.raises(JobFailed, match=f"job {job.id} cancelled") as raised:
        require_success(last)
    assert raised.value.job.status is JobStatus.CANCELLED


def test_leaving_a_stream_cancels_its_job(client: Client, png: bytes, redis: Redis) -> None:
    """Nobody waits for it any more."""
    events = client.stream(png, model="toy")
    next(events)
    assert queued(redis) == 1
    events.close()  # type: ignore[attr-defined]  # as leaving a loop does
    assert queued(redis) == 0


def test_a_lost_server_is_named_with_the_job(client: Client, png: bytes) -> None:
    """So that the answer can be fetched later; the job goes on."""
    job = client.submit(png, model="toy")
    client._http.base_url = httpx.URL("http://127.0.0.1:1")
    with pytest.raises(ServerUnavailable, match=f"job {job.id} was accepted"):
        list(client.follow(job))


def test_an_interrupt_cancels_the_job(client: Client, png: bytes, redis: Redis) -> None:
    """As leaving a stream does."""
    program = "import sys; from radii import Client; Client(sys.argv[1]).certify(sys.stdin.buffer.read(), model='toy')"
    with subprocess.Popen(
        [sys.executable, "-c", program, client.url], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as asking:
        assert asking.stdin is not None
        asking.stdin.write(png)
        asking.stdin.close()
        until(lambda: blocked(redis) == 1)  # it follows its job
        asking.send_signal(signal.SIGINT)
        until(lambda: queued(redis) == 0)
    assert asking.returncode != 0
