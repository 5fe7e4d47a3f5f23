"""The service's overhead: time of a job minus its sampling time, on a warm worker."""

import statistics
import time

import httpx
from rich.console import Console
from rich.table import Table

from benchmarks.load import PICTURE, running_stack
from contract.jobs import Job

JOBS = 40


def run(console: Console) -> None:
    """Prints the median and the 95th percentile over `JOBS` jobs, one after another."""
    with running_stack(workers=1) as (_, http):
        measured = [_one(http) for _ in range(JOBS + 1)][1:]
    table = Table(
        "milliseconds", "median", "p95", title=f"service overhead, {JOBS} jobs", title_justify="left"
    )
    for row, values in zip(
        ("enqueued to finished", "request to answer"), zip(*measured, strict=True), strict=True
    ):
        ranked = sorted(values)
        table.add_row(row, f"{statistics.median(ranked):.0f}", f"{ranked[int(0.95 * len(ranked))]:.0f}")
    console.print(table)


def _one(http: httpx.Client) -> tuple[float, float]:
    started = time.perf_counter()
    response = http.post(
        "/certify",
        files={"image": PICTURE.read_bytes()},
        data={"n": "1000"},
        headers={"Prefer": "wait=30"},
    )
    waited = time.perf_counter() - started
    job = Job.model_validate_json(response.content)
    assert job.certificate is not None, response.text
    assert job.finished_at is not None
    sampling = job.certificate.compute.seconds
    queued_to_finished = (job.finished_at - job.created_at).total_seconds()
    return 1000 * (queued_to_finished - sampling), 1000 * (waited - sampling)
