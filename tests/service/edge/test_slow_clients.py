"""Clients that take their time, or lie about how much they send: they hold nothing that others need."""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from contract.limits import MAX_BODY_BYTES, MAX_HEADER_BYTES
from tests.service.conftest import ApiProcess, run_api
from tests.support.waiting import until

HEAD = (
    b"POST /certify HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n%s: %s\r\n\r\n"
)
PART = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'


@contextlib.contextmanager
def connection(api: ApiProcess) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", api.port), timeout=20) as opened:
        yield opened


def read_all(opened: socket.socket) -> bytes:
    """What comes until the server ends the connection."""
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while part := opened.recv(65536):
            answer += part
    return answer


def read_answer(opened: socket.socket) -> bytes:
    """One answer, on a connection that may go on."""
    answer = b""
    while not answer.endswith(b"}"):
        part = opened.recv(65536)
        assert part, "the connection ended"
        answer += part
    return answer


def told(answer: bytes) -> tuple[int, str]:
    """Status and code of the last answer."""
    head, _, body = answer.rpartition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower()
    status = int(head[head.rindex(b"HTTP/1.1 ") + 9 :][:3])
    problem = json.loads(body)
    assert problem["status"] == status
    return status, problem["code"]


def test_body_that_never_ends(impatient: ApiProcess) -> None:
    """A byte now and then: 408 when its time is up, and the connection is gone."""
    with connection(impatient) as slow:
        slow.sendall(HEAD % (b"Content-Length", b"1000") + PART)
        began = time.monotonic()
        slow.settimeout(0.02)
        answer = b""
        while not answer:
            slow.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                answer = slow.recv(65536)
        slow.settimeout(20)
        answer += read_all(slow)
    assert told(answer) == (408, "body_timeout")
    assert b"connection: close" in answer.lower()
    assert time.monotonic() - began > 0.19


def test_length_that_promises_too_much(impatient: ApiProcess) -> None:
    """The rest is waited for, in vain."""
    with connection(impatient) as liar:
        liar.sendall(HEAD % (b"Content-Length", b"5000") + PART + b"hello\r\n--x--\r\n")
        assert told(read_all(liar)) == (408, "body_timeout")


def test_json_body_that_never_ends(impatient: ApiProcess) -> None:
    with connection(impatient) as slow:
        slow.sendall(
            b"POST /predict/json HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 9\r\n\r\n{"
        )
        assert told(read_all(slow)) == (408, "body_timeout")


def test_refused_body_that_never_ends(impatient: ApiProcess) -> None:
    """The answer is there at once; what is left of the body is not waited for without end."""
    with connection(impatient) as slow:
        slow.sendall(HEAD % (b"Content-Length", b"99999999"))
        assert told(read_answer(slow)) == (413, "body_too_large")
        slow.settimeout(0.02)
        with contextlib.suppress(ConnectionError):
            ended = False
            while not ended:  # for ever, if the server does
                slow.sendall(b"x")
                with contextlib.suppress(TimeoutError):
                    ended = slow.recv(1) == b""


def test_headers_that_never_end(impatient: ApiProcess) -> None:
    """They have their time; and a connection that says nothing is closed."""
    with connection(impatient) as slow, connection(impatient) as silent:
        slow.sendall(b"GET /livez HTTP/1.1\r\nHost: loc")
        assert told(read_all(slow)) == (408, "body_timeout")
        assert read_all(silent) == b""


def test_headers_without_bound(patient: ApiProcess) -> None:
    """They are counted as they come."""
    with connection(patient) as large:
        large.sendall(b"GET /livez HTTP/1.1\r\nX: ")
        large.sendall(b"x" * (MAX_HEADER_BYTES // 2))
        with contextlib.suppress(ConnectionError):
            for _ in range(4):
                large.sendall(b"x" * MAX_HEADER_BYTES)
        answer = read_all(large)
        assert not answer or told(answer) == (431, "headers_too_large")


def test_headers_that_come_at_once_have_the_same_bound(patient: ApiProcess) -> None:
    """A quick client can send many times as much in one piece; the connection ends, and the next is served."""
    for size, answer in ((MAX_HEADER_BYTES - 100, 200), (MAX_HEADER_BYTES, 431), (6 * MAX_HEADER_BYTES, 431)):
        with connection(patient) as quick:
            head = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: %s\r\n\r\n"
            quick.sendall(head % (b"x" * size))
            said = read_all(quick)
        assert said.startswith(b"HTTP/1.1 %d" % answer), (size, said[:100])
        assert answer == 200 or told(said) == (431, "headers_too_large")


def test_kept_connection_may_not_dawdle_either(impatient: ApiProcess) -> None:
    """The second request on a connection has the same time for its headers."""
    with connection(impatient) as slow:
        slow.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert slow.recv(65536).startswith(b"HTTP/1.1 200")
        slow.sendall(b"GET /livez HT")
        assert told(read_all(slow)) == (408, "body_timeout")


def test_client_that_takes_nothing(impatient: ApiProcess) -> None:
    """It asks for megabytes and reads none of them: dropped in the middle of one, which is no internal error."""
    with connection(impatient) as greedy:
        for _ in range(200):
            greedy.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:  # until there is nobody to send to
                greedy.sendall(b"\r\n")
                time.sleep(0.02)
        answers = read_all(greedy)
    assert 0 < answers.count(b"HTTP/1.1 200") < 200
    metrics = httpx.get(f"{impatient.url}/metrics").text
    assert 'route="/openapi.json",status="200"' in metrics
    assert "internal_error" not in metrics


@pytest.mark.parametrize(
    ("length", "answer"),
    [
        (b"3", (422, "invalid_field")),  # there is no image in it, and the rest is no request
        (b"-1", (400, "malformed_body")),
        (b"ten", (400, "malformed_body")),
        (b"9" * 40, (400, "malformed_body")),
    ],
)
def test_lying_length(patient: ApiProcess, length: bytes, answer: tuple[int, str]) -> None:
    with connection(patient) as liar:
        liar.sendall(HEAD % (b"Content-Length", length) + PART + b"hello\r\n--x--\r\n")
        assert told(read_all(liar)) == answer


def test_two_lengths(patient: ApiProcess) -> None:
    """Where a proxy and a server could disagree, there is no request."""
    both = b"Content-Length: 5\r\nTransfer-Encoding"
    with connection(patient) as liar:
        liar.sendall(HEAD % (both, b"chunked") + b"5\r\nhello\r\n0\r\n\r\n")
        assert told(read_all(liar)) == (400, "malformed_body")


def test_endless_chunks(patient: ApiProcess) -> None:
    """Counted while they come: 413, and the memory stays as it was."""

    def send() -> None:
        with connection(patient) as liar:
            liar.sendall(HEAD % (b"Transfer-Encoding", b"chunked") + b"%x\r\n%s\r\n" % (len(PART), PART))
            chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
            with contextlib.suppress(ConnectionError):
                for _ in range(3 * MAX_BODY_BYTES // 65536):
                    liar.sendall(chunk)
            assert told(read_answer(liar)) == (413, "body_too_large")

    send()
    before = patient.resident
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: send(), range(12)))
    assert patient.resident - before < 20e6


def test_others_do_not_notice(patient: ApiProcess, beat: Callable[..., None], png: bytes) -> None:
    """A hundred idle connections and a hundred that dribble: submitting costs the process what it did."""
    beat()

    def spent() -> float:
        """Processor time of the API, which other processes on the machine do not change."""
        before = patient.cpu_seconds
        with httpx.Client(base_url=patient.url, timeout=20) as client:
            for _ in range(100):
                response = client.post("/certify", files={"image": ("i", png)}, data={"model": "toy"})
                assert response.status_code == 202
        return patient.cpu_seconds - before

    spent()  # what is done once
    quiet = spent()
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connection(patient)) for _ in range(100)]
        slow = [stack.enter_context(connection(patient)) for _ in range(100)]
        for one in slow:
            one.sendall(HEAD % (b"Content-Length", b"1000") + PART)
        for one in slow:
            one.sendall(b"x")
        crowded = spent()
        for one in slow:
            one.sendall(b"x")  # none was dropped meanwhile
        assert len(idle) == 100
    assert crowded < 2 * quiet + 0.1


def test_crowded_process_says_so(redis_url: str) -> None:
    """As many connections as may be: 503 for the next, but a probe finds the process alive."""
    with run_api(redis_url, max_connections=5) as api, contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(connection(api))
        response = httpx.get(f"{api.url}/version")
        assert (response.status_code, response.json()["code"]) == (503, "too_many_connections")
        assert int(response.headers["Retry-After"]) > 0
        assert httpx.get(f"{api.url}/livez").status_code == 200
        stack.close()
        until(lambda: httpx.get(f"{api.url}/version").status_code == 200)
