"""Clients and faults at once over the real stack; afterwards everything that was told has to be true.

``RADII_CHAOS_SECONDS`` and ``RADII_CHAOS_SEED`` choose how long and which schedule: without them, every kind of fault
once, always in the same order. `make chaos` runs it for long, with a seed of its own.
"""

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from contract import keys
from contract.regions import StoredRegion
from tests.chaos.clients import Api, Client
from tests.chaos.cluster import Cluster
from tests.chaos.history import (
    History,
    Operation,
    check_jobs,
    check_keys_of_requests,
    check_responses,
)
from tests.chaos.nemesis import Nemesis, Watchdog
from tests.support.command_line import radii
from tests.support.timings import FAST
from tests.support.waiting import until
from workers.settings import RQ_RECORD_SECONDS

SECONDS = float(os.environ.get("RADII_CHAOS_SECONDS", "0"))
SEED = int(os.environ.get("RADII_CHAOS_SEED", "1"))
CLIENTS = 6
HEALING_SECONDS = 120.0
PATIENT_FROM = 300.0  # seconds of a run in which a fault may take minutes


@pytest.mark.timeout(SECONDS * 3 + 400)
def test_whatever_was_told_is_true(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Faults of every kind under load: nothing accepted is lost, nothing final changes, nothing overlaps."""
    history, stopping = History(SEED), threading.Event()
    clients = [Client(number, cluster.urls, history, stopping) for number in range(CLIENTS)]
    nemesis = Nemesis(cluster, history, tmp_path, patient=SECONDS >= PATIENT_FROM)
    for thread in (*clients, watchdog := Watchdog(cluster.urls, history, stopping)):
        thread.start()
    try:
        nemesis.run(SECONDS)
    finally:
        stopping.set()
        for thread in (*clients, watchdog):
            thread.join(60)
    history.violations += [f"a client crashed: {client.crash!r}" for client in clients if client.crash]
    history.violations += cluster.failures
    healed = time.monotonic()
    finish(cluster, history)
    took = time.monotonic() - healed
    check_responses(history)
    check_jobs(history)
    if "Idempotency-Key" in Api(cluster.urls[0], history).http.get("/openapi.json").text:
        check_keys_of_requests(history)
    check_streams(cluster, history, clients)
    check_memory(cluster, history)
    check_store(cluster, history)
    if nemesis.marker.exists():
        history.violation("a forbidden task was run")
    with capsys.disabled():
        print(f"\n{history.summary()}\n  healed in {took:.1f} s")  # noqa: T201 (the point of a long run)
    reproduce = (
        f"RADII_CHAOS_SECONDS={SECONDS:g} RADII_CHAOS_SEED={SEED} {sys.executable} -m pytest {__file__}"
    )
    assert not history.violations, "\n".join([*history.violations[:10], f"again: {reproduce}"])


def finish(cluster: Cluster, history: History) -> None:
    """Waits for every accepted job, then reads each twice, its certificate, and verifies that."""
    api = Api(cluster.urls[0], history)
    other = Api(cluster.urls[1], history)
    deadline = time.monotonic() + HEALING_SECONDS
    for job in sorted(history.accepted()):
        op = api.ask("wait", "GET", f"/jobs/{job}", job=job, params={"wait": 5})
        while not is_final(op) and time.monotonic() < deadline:
            op = api.ask("wait", "GET", f"/jobs/{job}", job=job, params={"wait": 5})
    for job in sorted(history.accepted()):
        op = other.ask("final", "GET", f"/jobs/{job}", job=job)
        if op.status == 200 and op.body["certificate"]:
            api.ask("certificate", "GET", f"/certificates/{job}", job=job)
            api.ask("verify", "POST", f"/certificates/{job}/verify", job=job)
    queue = f"rq:queue:{keys.QUEUE}"
    busy = (queue, f"{queue}:intermediate", f"rq:wip:{keys.QUEUE}")
    until(lambda: not cluster.redis.exists(*busy), "the queue was not emptied")


def is_final(op: Operation) -> bool:
    return (
        op.status == 404
        or (op.status == 200 and op.body["finished_at"] is not None)
        or (op.status == 200 and op.body["status"] in ("expired", "failed", "cancelled", "succeeded"))
    )


def check_streams(cluster: Cluster, history: History, clients: list[Client]) -> None:
    """Whatever a client heard of a job, however often it hung up: every event once, from the first to its last."""
    for client in clients:
        for job, ids in client.streams.items():
            stored = [entry.decode() for entry, _ in cluster.redis.xrange(keys.events(job))]
            if ids and ids != stored[: len(ids)]:
                history.violation(
                    f"events are missing or twice: heard {ids}, stored {stored}: {history.of(job)}"
                )


def check_memory(cluster: Cluster, history: History) -> None:
    """No two labels share a point, and every region has one job that succeeded."""
    checked = radii("memory", "check", "--redis-url", cluster.direct_url)
    if checked.returncode != 0:
        history.violation(f"radii memory check: {checked.stdout} {checked.stderr}")
    accepted = history.accepted()
    stored: list[str] = []
    for name in cluster.redis.scan_iter("radii:memory:*:log"):
        records: Any = cluster.redis.lrange(name, 0, -1)
        stored += [StoredRegion.model_validate_json(record).certificate_id for record in records]
    if len(stored) != len(set(stored)):
        history.violation("a job has two regions")
    outcomes = {
        op.job: op.body["certificate"]["memory"]["outcome"]
        for op in history.operations
        if op.name == "final" and op.status == 200 and op.body["certificate"]
    }
    added = {job for job, outcome in outcomes.items() if outcome in ("added", "clipped", "relabelled")}
    if wrong := {job for job in stored if job in accepted} ^ added:
        history.violation(f"regions and certificates differ: {sorted(map(str, wrong))}")


def check_store(cluster: Cluster, history: History) -> None:
    """Nothing is left that has no end, nothing that is no longer needed, and nobody waits who has gone."""
    redis = cluster.redis
    until(lambda: not redis.exists(keys.TAKEN, keys.SILENT), "the reaper did not finish")
    patterns = (f"rq:wip:{keys.QUEUE}*", f"rq:queue:{keys.QUEUE}*")
    until(
        lambda: not [name for pattern in patterns for name in redis.scan_iter(pattern, count=1000)],
        "jobs wait, or are said to be with a worker",
    )
    # The record of a worker's last job lapses with the last sign of life, to which RQ adds a minute.
    longest = FAST["job_monitoring_seconds"] + RQ_RECORD_SECONDS
    for name in redis.scan_iter("rq:execution:*", count=1000):
        if not redis.ttl(name) <= longest:
            history.violation(f"kept for {redis.ttl(name)} s: {name.decode(errors='replace')}")
    for name in redis.scan_iter("*", count=1000):
        key = name.decode(errors="replace")
        if not key.startswith(("rq:", "radii:")):
            history.violation(f"a key of nobody's: {key}")
        lasting = key.startswith(("radii:memory:", "rq:workers", "rq:queues")) or key in LASTING
        if redis.ttl(name) == -1 and not lasting:
            history.violation(f"a key without an end: {key}")
    blocked = redis.info("clients")["blocked_clients"]
    if blocked > 2:
        history.violation(f"{blocked} clients wait, and there are 2 workers")


LASTING = {
    keys.ENGINES,
    keys.METRICS,
    keys.SECRET,
    *(f"rq:{registry}:{keys.QUEUE}" for registry in ("finished", "failed", "canceled")),
    "rq:failed:elsewhere",  # where garbage said that it came from
    "rq:failed:",
}
