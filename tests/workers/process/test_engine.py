"""The engine as a process of its own: what it starts with, and how it leaves."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from models.bundles import ZOO
from tests.support.waiting import until
from workers.job.loaded_models import find_models
from workers.settings import WorkerSettings

_SIGTERM_BIT = 1 << (signal.SIGTERM - 1)


@contextmanager
def engine(redis_url: str, folder: Path, **settings: object) -> Iterator[subprocess.Popen[str]]:
    """An engine with its socket and its log in a folder."""
    folder.mkdir()
    environment = {f"RADII_{name.upper()}": str(value) for name, value in settings.items()}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "workers.process.engine", "--socket", str(folder / "socket")],
            env={
                **os.environ,
                "RADII_REDIS_URL": redis_url,
                "RADII_DEVICE": "cpu",
                "RADII_NICENESS": "0",
                **environment,
            },
            stdin=subprocess.PIPE,  # its parent's life
            stderr=log,
            text=True,
        )
    with process:
        try:
            yield process
        finally:
            process.kill()


def catches_sigterm(process: subprocess.Popen[str]) -> bool:
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) & _SIGTERM_BIT)


@pytest.mark.skipif(sys.platform != "linux", reason="what a process catches is read from /proc")
def test_an_engine_that_has_loaded_nothing_yet_leaves_quietly(redis_url: str, tmp_path: Path) -> None:
    """As one that a rollout ends while its first model is being prepared: it did nothing wrong."""
    with engine(redis_url, tmp_path / "engine") as process:
        until(lambda: process.poll() is not None or catches_sigterm(process))
        assert process.poll() is None, "the engine ended"
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert "Traceback" not in (tmp_path / "engine" / "log").read_text()


def test_a_bundle_at_fault_takes_no_other_with_it(tmp_path: Path) -> None:
    """The operator copied one under its old name, and wrote a comma too many into another card."""
    shutil.copytree(ZOO / "fashion-mnist-gaussian", tmp_path / "copy")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "card.json").write_text("{,}")
    with capture_logs() as lines:
        served = find_models(WorkerSettings(models=(tmp_path,), device="cpu")).catalogue()
    assert {model.name for model in served} == {card.parent.name for card in ZOO.glob("*/card.json")}
    assert all(model.ready for model in served)
    told = {line["folder"]: line["event"] for line in lines}
    assert told == dict.fromkeys((str(tmp_path / "broken"), str(tmp_path / "copy")), "bundle refused")
