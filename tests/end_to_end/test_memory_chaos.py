"""Workers that commit at the same instant, while they and the store are killed: nothing promised is lost."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from contract import keys
from contract.regions import StoredRegion
from radii import embedded
from radii.stack import free_port
from tests.end_to_end.committing import MODEL, NAMESPACE
from tests.end_to_end.running import ROOT, radii

ROUNDS = int(os.environ.get("RADII_CHAOS_ROUNDS", "250"))
WORKERS = int(os.environ.get("RADII_CHAOS_WORKERS", "4"))
KILLS = 10
BETWEEN_KILLS = 2.0
SECONDS = 120 + ROUNDS


class Store:
    """A Valkey that is killed and comes back with what was on its disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.url = embedded.url(folder, self._port)
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "radii.embedded", str(self._folder), "--port", str(self._port)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)
        for _ in range(200):
            try:
                with Redis.from_url(self.url) as redis:
                    self._server = int(redis.info("server")["process_id"])
                    redis.ping()  # refused while it reads its file
                return
            except RedisError:
                time.sleep(0.05)
        raise AssertionError("the store did not start")

    def kill(self) -> None:
        """Without a chance to write anything more."""
        os.kill(self._server, signal.SIGKILL)
        self._gone()

    def stop(self) -> None:
        self._process.terminate()
        self._gone()

    def _gone(self) -> None:
        self._process.wait(timeout=20)
        assert self._process.stdin is not None
        self._process.stdin.close()


def start_worker(store: Store, number: int, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.end_to_end.committing", store.url, str(number), str(ROUNDS)]
    return subprocess.Popen([*command, str(folder / f"succeeded-{number}")], cwd=ROOT)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(tmp_path / "store")
    yield found
    found.stop()


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
