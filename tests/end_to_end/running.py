"""How the end-to-end tests talk to a running stack and to the command line."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
from redis import Redis

from contract import keys
from contract.jobs import Job
from contract.models import EngineStatus
from radii.own_key import plain_file

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "models" / "zoo" / "fashion-mnist-gaussian" / "examples"


@dataclass(frozen=True)
class Running:
    """A stack that runs, and how to talk to it."""

    http: httpx.Client
    redis: Redis
    url: str
    picture: Path
    redis_url: str
    data_dir: Path

    @property
    def key_file(self) -> Path:
        """Where the key of whoever runs the stack lies."""
        return plain_file(self.data_dir)

    def certify(self, wait: int = 30, **fields: object) -> Job:
        """Certifies the shipped picture at a fixed level, as it is: the least that can happen."""
        fixed: dict[str, object] = {"sigma": 0.5, "adapt": "false"}
        return self.certify_picture(self.picture.read_bytes(), wait, **{**fixed, **fields})

    def ask(self, picture: Path | None = None, **fields: object) -> Job:
        """Submits a picture with just these fields, and does not wait."""
        return self.certify_picture((picture or self.picture).read_bytes(), 0, **fields)

    def certify_picture(self, picture: bytes, wait: int = 30, **fields: object) -> Job:
        """Certifies any picture."""
        response = self.http.post(
            "/certify",
            files={"image": picture},
            data={name: str(value) for name, value in fields.items()},
            headers={"Prefer": f"wait={wait}"} if wait else {},
        )
        assert response.status_code in (200, 202), response.text
        return Job.model_validate_json(response.content)

    def job(self, job_id: str, wait: int = 0) -> Job:
        """Reads a job's state."""
        response = self.http.get(f"/jobs/{job_id}", params={"wait": wait})
        assert response.status_code == 200, response.text
        return Job.model_validate_json(response.content)

    def until(self, job_id: str, reached: Callable[[Job], bool], seconds: float = 60) -> Job:
        """Polls a job until it is as wanted."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            job = self.job(job_id)
            if reached(job):
                return job
            time.sleep(0.02)
        raise AssertionError(f"not reached within {seconds} s: {job}")

    def engines(self) -> list[EngineStatus]:
        """Returns what every engine last said of itself."""
        ids = self.redis.zrange(keys.ENGINES, 0, -1)
        found = [self.redis.get(keys.engine(engine.decode())) for engine in ids]
        return [EngineStatus.model_validate_json(text) for text in found if text]


def radii(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line."""
    return subprocess.run(
        [sys.executable, "-m", "radii", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "120", **environment},
    )


def wait_for_engines(running: Running, number: int) -> None:
    """Both workers must be up before a test counts on them."""
    deadline = time.monotonic() + 60
    while len(running.engines()) < number:
        assert time.monotonic() < deadline, "a worker did not come up"
        time.sleep(0.1)


def process_is_alive(pid: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
