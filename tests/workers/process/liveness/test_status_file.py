"""What an engine says in its status file, and how an engine that works on when nobody waits is noticed."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.support.waiting import until
from workers.process.liveness.status_file import (
    StatusFile,
    Watchdog,
    is_running,
    read_status,
    seconds_since_beat,
)

PATIENCE = 0.1


@pytest.fixture
def relay() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits for an answer."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def file(tmp_path: Path) -> StatusFile:
    return StatusFile(tmp_path, interval=60)


def test_the_file_says_what_the_engine_does(tmp_path: Path) -> None:
    """From its start on, and since when."""
    assert read_status(tmp_path) is None
    file = StatusFile(tmp_path, interval=60)
    begun = read_status(tmp_path)
    assert begun is not None
    assert (begun.pid, begun.serving, begun.job, begun.relay) == (os.getpid(), False, None, None)
    file.set_job("a" * 32, relay=7)
    busy = read_status(tmp_path)
    assert busy is not None
    assert (busy.serving, busy.job, busy.relay) == (True, "a" * 32, 7)
    file.set_job(None)
    free = read_status(tmp_path)
    assert free is not None
    assert (free.serving, free.job, free.relay) == (True, None, None)
    assert begun.since < busy.since < free.since


def test_the_beat_goes_on_while_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The age is that of the youngest: several workers may share a machine, and leave files when killed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert seconds_since_beat() is None
    for name in ("radii-worker-killed", "radii-worker-1", "somebody-elses"):
        (tmp_path / name).mkdir()
    (tmp_path / "radii-worker-killed" / "engine.json").write_text('{"pid": 1, "since": 0, "beat": 0}')
    old = seconds_since_beat()
    assert old is not None
    assert old > 1e9
    StatusFile(tmp_path / "radii-worker-1", interval=0.01)
    first = read_status(tmp_path / "radii-worker-1")
    assert first is not None

    def has_gone_on() -> bool:
        now = read_status(tmp_path / "radii-worker-1")
        return now is not None and now.beat > first.beat and now.since == first.since

    until(has_gone_on)
    young = seconds_since_beat()
    assert young is not None
    assert young < 60


def test_a_file_that_cannot_be_written_stops_no_job(file: StatusFile, tmp_path: Path) -> None:
    """As on a full disk; the log says so, and no old status stays for which the engine would be killed."""
    file.set_job("b" * 32, relay=7)
    (tmp_path / "engine.part").mkdir()
    with capture_logs() as lines:
        file.set_job("a" * 32, relay=8)
    assert [line["event"] for line in lines] == ["status file not written"]
    assert read_status(tmp_path) is None
    (tmp_path / "engine.part").rmdir()
    file.set_job("a" * 32, relay=8)
    status = read_status(tmp_path)
    assert status is not None
    assert status.job == "a" * 32


def test_nothing_is_written_once_the_folder_is_gone(tmp_path: Path) -> None:
    """As when a worker has ended: its thread ends, and does not complain."""
    folder = tmp_path / "radii-worker-1"
    folder.mkdir()
    before = set(threading.enumerate())
    StatusFile(folder, interval=0.5)
    (thread,) = set(threading.enumerate()) - before
    with capture_logs() as lines:
        shutil.rmtree(folder)
        thread.join(60)
    assert not thread.is_alive()
    assert lines == []


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"\xff", b'{"pid": 1}', b'{"pid": 1, "since": 0, "beat": "x"}', None],
)
def test_a_status_that_cannot_be_read_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes | None
) -> None:
    """Of that folder: another one beside it counts."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    broken = tmp_path / "radii-worker-1"
    broken.mkdir()
    if text is None:
        (broken / "engine.json").mkdir()  # an OSError, also for root
    else:
        (broken / "engine.json").write_bytes(text)
    assert read_status(broken) is None
    assert seconds_since_beat() is None
    (tmp_path / "radii-worker-2").mkdir()
    fields = {"pid": 1, "since": 0, "beat": time.time(), "of a later release": True}
    (tmp_path / "radii-worker-2" / "engine.json").write_text(json.dumps(fields))
    age = seconds_since_beat()
    assert age is not None
    assert age < 60


def test_work_for_a_relay_that_waits_may_take_any_time(
    file: StatusFile, tmp_path: Path, relay: subprocess.Popen[bytes]
) -> None:
    watchdog = Watchdog(PATIENCE)
    file.set_job("a" * 32, relay.pid)
    assert watchdog.hung(read_status(tmp_path)) is None
    time.sleep(2 * PATIENCE)  # a busy machine makes it longer
    assert watchdog.hung(read_status(tmp_path)) is None


def test_an_engine_gets_some_time_to_leave_abandoned_work(
    file: StatusFile, tmp_path: Path, relay: subprocess.Popen[bytes]
) -> None:
    """The relay's parent need not have taken notice: it counts as gone from its end on."""
    watchdog = Watchdog(PATIENCE)
    file.set_job("a" * 32, relay.pid)
    relay.kill()
    until(lambda: not is_running(relay.pid))
    assert watchdog.hung(read_status(tmp_path)) is None
    time.sleep(2 * PATIENCE)
    assert watchdog.hung(read_status(tmp_path)) == "a" * 32


def test_time_begins_anew_with_each_job(
    file: StatusFile, tmp_path: Path, relay: subprocess.Popen[bytes]
) -> None:
    """Many abandoned jobs, one after the other, are no sign of anything: also attempts at the same one."""
    watchdog = Watchdog(PATIENCE)
    relay.kill()
    relay.wait()
    for _ in range(4):
        file.set_job("a" * 32, relay.pid)
        assert watchdog.hung(read_status(tmp_path)) is None
        time.sleep(2 * PATIENCE)  # of the one before; the next has only begun
    file.set_job(None)
    assert watchdog.hung(read_status(tmp_path)) is None
