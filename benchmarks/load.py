"""Latency of submissions while all workers are busy, answers of a full queue, jobs per second by workers."""

import contextlib
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from benchmarks.arrivals import Answers, send_at
from models.bundles import ZOO
from radii.stack import Stack, StackPlan, free_port

PICTURE = max((ZOO / "fashion-mnist-gaussian" / "examples").glob("*.png"))
RATE = 100  # requests per second
SECONDS = 20.0
WORKERS = (1, 2, 3)
JOBS = 60  # jobs to finish
VOTES = 1000  # votes per job
CAP = 40  # jobs that may wait, when a full queue is measured
# Limits so high that nothing is refused, but still counted, since counting is part of the measurement.
SETTINGS = {"RADII_MAX_QUEUED": "1000000", "RADII_RATE_LIMIT_SUBMIT": "1000000/minute"}


def run(console: Console) -> None:
    """Prints latencies under load, the answers of a full queue, and jobs per second."""
    with running_stack(workers=2) as (stack, http):
        busy = [_submit(http, n=10_000_000) for _ in range(2)]
        _wait_until_running(http, busy)
        rows = [
            ("submit", _measure(stack, _request(http, VOTES))),
            ("status", _measure(stack, http.build_request("GET", f"/jobs/{busy[0]}"))),
        ]
        _require_busy(http, busy)
    console.print(_latencies(rows))
    with running_stack(workers=2, RADII_MAX_QUEUED=str(CAP)) as (_, http):
        console.print(_past_the_cap(http))
    table = Table("workers", "jobs per second", title=f"{JOBS} jobs of {VOTES} votes", title_justify="left")
    for workers in WORKERS:
        with running_stack(workers) as (_, http):
            table.add_row(str(workers), f"{_throughput(http):.1f}")
    console.print(table)


@contextlib.contextmanager
def running_stack(workers: int, **settings: str) -> Iterator[tuple[Stack, httpx.Client]]:
    """Starts a service, and warms up its workers."""
    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("w") as log:
        plan = StackPlan(
            Path(folder) / "store",
            port=free_port(),
            workers=workers,
            environment={**SETTINGS, **settings},
            stop_grace=0,
            log=log,
        )
        with Stack(plan) as stack, httpx.Client(base_url=stack.url, timeout=60) as http:
            http.headers["X-API-Key"] = stack.api_key
            stack.wait_until_ready()
            _wait_for_workers(http, workers)
            for _ in range(3 * workers):  # warm up every worker
                _submit(http, n=VOTES)
            _wait_until_done(http, _submit(http, n=VOTES))  # first in, first out: this one ends last
            yield stack, http


def _request(http: httpx.Client, n: int) -> httpx.Request:
    files = {"image": PICTURE.read_bytes()}
    fields = {"n": str(n), "sigma": "0.5", "adapt": "false", "memory": "off"}
    return http.build_request("POST", "/certify", files=files, data=fields)


def _submit(http: httpx.Client, n: int) -> str:
    response = http.send(_request(http, n))
    assert response.status_code == 202, response.text
    job_id: str = response.json()["id"]
    return job_id


def _wire(request: httpx.Request) -> bytes:
    """Returns the bytes of the request on the wire."""
    first = f"{request.method} {request.url.path} HTTP/1.1".encode()
    lines = [first, *(name + b": " + value for name, value in request.headers.raw)]
    return b"\r\n".join([*lines, b"", request.read()])


def _measure(stack: Stack, request: httpx.Request) -> Answers:
    url = httpx.URL(stack.url)
    assert url.port is not None
    # In a process of its own, so that this one does not delay it.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        arguments = RATE, SECONDS, url.host, url.port, _wire(request)
        return process.submit(send_at, *arguments).result(timeout=SECONDS + 60)


def _latencies(rows: list[tuple[str, Answers]]) -> Table:
    table = Table(
        "milliseconds", "p50", "p95", "p99", "most", "answers",
        title=f"{RATE} requests per second for {SECONDS:g} s, two workers busy", title_justify="left",
    )  # fmt: skip
    for name, answers in rows:
        cuts = statistics.quantiles(answers.times, n=100, method="inclusive")
        cells = [cuts[49], cuts[94], cuts[98], max(answers.times)]
        table.add_row(name, *(f"{1000 * cell:.1f}" for cell in cells), str(answers.statuses))
    return table


def _past_the_cap(http: httpx.Client) -> Table:
    """Submits until jobs are refused, and compares ``Retry-After`` with the time until the queue is empty."""
    accepted: list[httpx.Response] = []
    refused: list[httpx.Response] = []
    for _ in range(3 * CAP):
        response = http.send(_request(http, VOTES))
        (accepted if response.status_code == 202 else refused).append(response)
    assert {response.status_code for response in refused} == {503}, "the queue was never full"
    refused_at = time.perf_counter()
    _wait_until_done(http, accepted[-1].json()["id"])
    drained = time.perf_counter() - refused_at
    said = [int(response.headers["Retry-After"]) for response in refused]
    table = Table(
        "202", "503", "Retry-After, s", "the queue was empty after, s",
        title=f"{3 * CAP} submissions at once, {CAP} may wait", title_justify="left",
    )  # fmt: skip
    table.add_row(str(len(accepted)), str(len(refused)), f"{min(said)} to {max(said)}", f"{drained:.1f}")
    return table


def _throughput(http: httpx.Client) -> float:
    """Returns finished jobs per second, from the first submission on; submitting is much faster."""
    began = time.perf_counter()
    for job_id in [_submit(http, n=VOTES) for _ in range(JOBS)]:
        _wait_until_done(http, job_id)
    return JOBS / (time.perf_counter() - began)


def _wait_for_workers(http: httpx.Client, workers: int) -> None:
    while http.get("/readyz").json()["engines"] < workers:
        time.sleep(0.1)


def _wait_until_done(http: httpx.Client, job_id: str) -> None:
    while http.get(f"/jobs/{job_id}", params={"wait": 30}).json()["status"] != "succeeded":
        pass


def _wait_until_running(http: httpx.Client, jobs: list[str]) -> None:
    while not all(http.get(f"/jobs/{job_id}").json()["status"] == "running" for job_id in jobs):
        time.sleep(0.1)


def _require_busy(http: httpx.Client, jobs: list[str]) -> None:
    """Checks that the workers were busy during the whole measurement."""
    for job_id in jobs:
        assert http.get(f"/jobs/{job_id}").json()["status"] == "running", "the long jobs were too short"
