"""Workers that commit at the same instant, while they and the store are killed: nothing promised is lost."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from contract import keys
from contract.regions import StoredRegion
from tests.end_to_end.committing import MODEL, NAMESPACE
from tests.support.command_line import ROOT, radii
from tests.support.store import Store

ROUNDS = int(os.environ.get("RADII_CHAOS_ROUNDS", "250"))
WORKERS = int(os.environ.get("RADII_CHAOS_WORKERS", "4"))
KILLS = 10
BETWEEN_KILLS = 0.4
SECONDS = 120 + ROUNDS


def start_worker(store: Store, number: int, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.end_to_end.committing", store.url, str(number), str(ROUNDS)]
    return subprocess.Popen([*command, str(folder / f"succeeded-{number}")], cwd=ROOT)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as found:
        yield found


def test_nothing_that_succeeded_is_lost_and_nothing_overlaps(store: Store, tmp_path: Path) -> None:
    """Rounds of conflicting neighbours, while workers and the store are killed with -9 in the middle of it."""
    chance = random.Random(7)
    workers = [start_worker(store, number, tmp_path) for number in range(WORKERS)]
    kills = {"worker": 0, "store": 0}
    deadline = time.monotonic() + SECONDS
    try:
        while any(worker.poll() is None for worker in workers):
            assert time.monotonic() < deadline, "it never ends"
            time.sleep(BETWEEN_KILLS)
            if sum(kills.values()) == KILLS:
                continue
            if chance.random() < 0.5:
                store.kill()
                store.start()
                kills["store"] += 1
            else:
                number = chance.randrange(WORKERS)
                if workers[number].poll() is None:
                    workers[number].kill()
                    workers[number].wait()
                    workers[number] = start_worker(store, number, tmp_path)
                    kills["worker"] += 1
        assert [worker.returncode for worker in workers] == [0] * WORKERS
        assert min(kills.values()) >= 2
        store.kill()  # right after the last answer
        store.start()
        succeeded = [
            job for number in range(WORKERS) for job in (tmp_path / f"succeeded-{number}").read_text().split()
        ]
        with Redis.from_url(store.url) as redis:
            stored = redis.lrange(keys.memory_log(MODEL, NAMESPACE), 0, -1)
            regions = [StoredRegion.model_validate_json(record) for record in stored]  # type: ignore[union-attr]
            assert len(succeeded) == len(set(succeeded)) == WORKERS * ROUNDS
            assert sorted(region.certificate_id for region in regions) == sorted(succeeded)
            assert all(redis.exists(keys.certificate(job)) for job in succeeded)
        assert {region.outcome.value for region in regions} == {"added", "clipped", "relabelled"}
        checked = radii("memory", "check", "--redis-url", store.url)
        assert checked.returncode == 0, checked.stdout + checked.stderr
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
