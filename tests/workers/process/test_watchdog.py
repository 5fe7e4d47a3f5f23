"""An engine that works on when nobody waits any more is noticed from outside."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.process.watchdog import Busy, Watchdog, Work, is_running

PATIENCE = 0.1


@pytest.fixture
def relay() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits for an answer."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def busy(tmp_path: Path) -> Busy:
    return Busy(tmp_path)


def test_work_for_a_relay_that_waits_may_take_any_time(busy: Busy, relay: subprocess.Popen[bytes]) -> None:
    watchdog = Watchdog(busy, PATIENCE)
    busy.begin(Work("a" * 32, relay.pid))
    assert watchdog.hung() is None
    time.sleep(2 * PATIENCE)
    assert watchdog.hung() is None


def test_an_engine_gets_some_time_to_leave_abandoned_work(busy: Busy, relay: subprocess.Popen[bytes]) -> None:
    """The relay is not even buried yet: it counts as gone from its end on."""
    watchdog = Watchdog(busy, PATIENCE)
    work = Work("a" * 32, relay.pid)
    busy.begin(work)
    relay.kill()
    while is_running(relay.pid):
        time.sleep(0.01)
    assert watchdog.hung() is None
    time.sleep(2 * PATIENCE)
    assert watchdog.hung() == work


def test_time_begins_anew_with_each_job(busy: Busy, relay: subprocess.Popen[bytes]) -> None:
    """Many abandoned jobs, one after the other, are no sign of anything."""
    watchdog = Watchdog(busy, PATIENCE)
    relay.kill()
    relay.wait()
    for number in range(4):
        busy.begin(Work(str(number), relay.pid))
        assert watchdog.hung() is None
        time.sleep(0.6 * PATIENCE)
        busy.end()
    assert busy.read() is None
