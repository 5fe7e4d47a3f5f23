"""Children that are started again when they die, and that die with their parent."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.support.processes import is_alive
from tests.support.waiting import until
from workers.process.child import Child, Exit, KeepsDying
from workers.process.liveness.status_file import Status
from workers.process.supervisor import EngineChild
from workers.settings import WorkerSettings

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_dead_child_is_started_again() -> None:
    """Another process under the same name."""
    child = Child("sleeper", SLEEP, os.environ)
    first = child.process
    first.kill()
    first.wait()
    child.keep_running()
    assert child.process.pid != first.pid
    assert child.process.poll() is None
    child.stop(grace=5)
    assert child.process.poll() is not None


def test_a_child_that_dies_at_once_is_given_up() -> None:
    """A fault that is not a job's must not spin."""
    child = Child("broken", [sys.executable, "-c", "raise SystemExit(1)"], os.environ)
    for _ in range(4):
        child.process.wait()
        child.keep_running()
    child.process.wait()
    with pytest.raises(KeepsDying, match="broken died 5 times"):
        child.keep_running()


def test_a_child_is_asked_to_end_once(tmp_path: Path) -> None:
    """Asking again while it finishes its work would make it drop it."""
    told = tmp_path / "told"
    script = (
        "import signal, sys, time; from pathlib import Path; file = Path(sys.argv[1]); told = []\n"
        "signal.signal(signal.SIGTERM, lambda *_: told.append('x')); file.write_text('')\n"
        "while not told: time.sleep(0.01)\n"
        "time.sleep(0.3); file.write_text(''.join(told))"
    )
    child = Child("worker", [sys.executable, "-c", script, str(told)], os.environ)
    until(told.exists)
    child.ask()
    child.stop(grace=60)
    assert told.read_text() == "x"


def test_a_planned_end_is_no_death() -> None:
    """However soon it comes; the next process is started."""
    child = Child("engine", [sys.executable, "-c", f"raise SystemExit({Exit.GROWN:d})"], os.environ)
    for _ in range(8):
        child.process.wait()
        assert child.keep_running() == Exit.GROWN
    child.stop(grace=5)


def test_a_child_that_gave_up_is_not_started_again() -> None:
    """A worker whose engine keeps dying has tried often enough."""
    child = Child("worker", [sys.executable, "-c", "raise SystemExit(3)"], os.environ)
    child.process.wait()
    with pytest.raises(KeepsDying, match="worker gave up"):
        child.keep_running()


def test_a_child_that_lost_its_store_is_started_again_without_end() -> None:
    """An outage of a minute is no reason to give up for ever."""
    code = f"raise SystemExit({os.EX_TEMPFAIL})"
    child = Child("patient", [sys.executable, "-c", code], os.environ)
    for _ in range(8):
        child.process.wait()
        child.keep_running()
    child.stop(grace=5)


@pytest.fixture
def dying_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineChild:
    """An engine that dies as soon as it is started, in a worker whose Redis is away."""
    monkeypatch.setenv("PYTHONHOME", str(tmp_path / "nowhere"))  # no interpreter starts with it
    return EngineChild(tmp_path / "engine.sock", WorkerSettings(redis_url="redis://127.0.0.1:1/0"))


def write_status(engine: EngineChild, folder: Path, pid: int) -> None:
    """As the engine does when it is up."""
    status = Status(pid, since=time.time(), beat=time.time(), serving=True)
    (folder / "engine.json").write_text(json.dumps(asdict(status)))


def test_an_engine_that_served_before_it_died_is_started_again_without_end(
    dying_engine: EngineChild, tmp_path: Path
) -> None:
    """Jobs killed it, one after the other; the next one need not."""
    for _ in range(8):
        dying_engine.process.wait()
        write_status(dying_engine, tmp_path, dying_engine.process.pid)
        dying_engine.keep_running()
    dying_engine.stop(grace=5)


def test_the_status_of_an_earlier_engine_counts_for_nothing(
    dying_engine: EngineChild, tmp_path: Path
) -> None:
    """It came up once and does so no more; then it is started no more."""
    write_status(dying_engine, tmp_path, pid=os.getpid())
    for _ in range(4):
        dying_engine.process.wait()
        dying_engine.keep_running()
    dying_engine.process.wait()
    with pytest.raises(KeepsDying, match="engine died 5 times"):
        dying_engine.keep_running()
    assert dying_engine.keep_running() is None


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """Kill -9 of the parent leaves no orphan."""
    pid_file = tmp_path / "pid"
    child = (
        "import os, time; from pathlib import Path; from workers.process.liveness.lifeline import end_with_parent; "
        f"end_with_parent(); Path({str(pid_file)!r}).write_text(str(os.getpid())); time.sleep(60)"
    )
    parent = (
        "import os, sys, time; from workers.process.child import Child; "
        f"Child('child', [sys.executable, '-c', {child!r}], os.environ); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent])
    until(lambda: pid_file.exists() and pid_file.read_text())
    pid = int(pid_file.read_text())
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: not is_alive(pid), "the child outlived its parent")


def test_settings_survive_the_way_into_a_child(tmp_path: Path) -> None:
    """A child reads the very settings that its parent was made with."""
    settings = WorkerSettings(
        models=(tmp_path, tmp_path / "b"), threads=1, device="cpu", redis_url="redis://h:1/0"
    )
    code = "from workers.settings import WorkerSettings; print(WorkerSettings().model_dump_json())"
    ran = subprocess.run(
        [sys.executable, "-c", code], env=settings.environment(), capture_output=True, text=True, check=True
    )
    assert WorkerSettings.model_validate_json(ran.stdout) == settings
