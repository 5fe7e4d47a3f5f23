"""docs/operations.md stays true: what it tells to ask of a running service is asked of one, its bytes are measured."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contract import keys
from contract.choices import JobStatus
from contract.jobs import Job
from service.jobs.queue import results_key
from tests.docs.pages import commands_of
from tests.docs.settings_table import told
from tests.support.processes import is_alive
from tests.support.service import Service
from tests.support.waiting import until

COMMANDS = commands_of("stack")
PIXELS = 28 * 28


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_runs(command: str, running: Service, tmp_path: Path) -> None:
    """In a shell, with the server of the tests in place of the operator's."""
    if command.startswith("curl") and shutil.which("curl") is None:
        pytest.skip("this machine has no curl")
    if "export" in command:  # there must be something, of one model alone
        assert running.certify(n=200, memory="operators").status is JobStatus.SUCCEEDED
        command = command.replace("--memory default", "--memory operators")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-c", command.replace("http://127.0.0.1:8000", running.url)],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "RADII_REDIS_URL": running.redis_url},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stderr
    assert "export" not in command or (tmp_path / "memory.jsonl").read_text().count("\n") >= 2


def size(running: Service, *names: str) -> int:
    """Bytes that keys take, by Redis' own account, without those of a picture's pixels."""
    return sum(running.redis.memory_usage(name, samples=0) or 0 for name in names)


def keys_of(running: Service, job: Job) -> list[str]:
    """Every key that a job's id is part of."""
    return [key.decode() for key in running.redis.scan_iter(f"*{job.id}*", count=1000)]


def picture(seed: int) -> bytes:
    """The shipped picture, not quite."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (28, 28), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_job_takes_what_the_page_says(running: Service) -> None:
    """The page's figure is that of the test's job, rounded up: within a third of it."""
    job = running.certify(n=20_000)
    assert job.status is JobStatus.SUCCEEDED
    until(lambda: running.redis.exists(results_key(job.id)))  # RQ writes its own record after the certificate
    found = size(running, *keys_of(running, job))
    certificate = size(running, keys.certificate(job.id))
    print(f"finished {found}, of which the certificate {certificate}")  # noqa: T201 (pytest shows it when a test fails)
    assert 0.67 * told("finished") < found <= told("finished")
    assert 0.67 * told("certificate") < certificate <= told("certificate")


def test_a_region_takes_what_the_page_says(running: Service) -> None:
    """Besides its pixels, once there are some."""
    jobs = [
        running.certify_picture(picture(seed), sigma=0.5, adapt="false", n=100, memory="capacity")
        for seed in range(40)
    ]
    assert {job.status for job in jobs} == {JobStatus.SUCCEEDED}
    digest = next(job.certificate.model_digest for job in jobs if job.certificate)
    length = running.redis.llen(next(running.redis.scan_iter("*capacity}:log")))
    names = [key.decode() for key in running.redis.scan_iter("*capacity}:*")]
    assert digest in names[0]
    assert length >= 10, "most of these pictures abstain: take others"
    found = size(running, *names) / length - PIXELS
    print(f"region {found}")  # noqa: T201
    assert 0.67 * told("region") < found <= told("region")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_worker_takes_what_the_page_says(running: Service) -> None:
    """By the most that an engine ever took; of two, the one that other tests have asked for less."""
    running.certify(n=200, adapt="true")
    peaks = [peak(engine.pid) for engine in running.engines() if is_alive(engine.pid)]
    assert peaks
    assert 0.3 * told("worker") < max(peaks)
    assert min(peaks) <= told("worker")


def peak(pid: int) -> int:
    """Bytes that a process took at most."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
