"""A stack of containers, as `docker compose up` starts it, and how the tests talk to it."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from contract.jobs import Job
from tests.support.command_line import PICTURE, ROOT, Ran, radii
from tests.support.waiting import until

IMAGES = ("radii-redis", "radii-api", "radii-worker")
SERVICES = ("redis", "api", "worker-cpu")


def compose_command() -> list[str] | None:
    """The plugin where it is there, else the older program; None: neither."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(command[0])
            and subprocess.run([*command, "version"], capture_output=True).returncode == 0
        ):
            return command
    return None


def docker(*arguments: str, check: bool = True) -> str:
    """Runs docker, and returns what it printed."""
    ran = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0 or not check, ran.stderr
    return ran.stdout.strip()


def inspect(name: str) -> dict[str, Any]:
    """What docker knows of a container, an image or a network."""
    found: list[dict[str, Any]] = json.loads(docker("inspect", name))
    return found[0]


@dataclass(frozen=True)
class Compose:
    """One project of docker-compose.yml."""

    command: list[str]
    project: str
    port: int
    key: str = field(default="", repr=False)
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the API is published."""
        return f"http://127.0.0.1:{self.port}"

    def __call__(self, *arguments: str, check: bool = True) -> str:
        """Runs docker compose, and returns its standard output."""
        ran = subprocess.run(
            [*self.command, "-p", self.project, *arguments],
            cwd=ROOT,
            env={**os.environ, **self.settings, "RADII_PORT": str(self.port)},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert ran.returncode == 0 or not check, ran.stderr
        return ran.stdout.strip()

    def type(self, command: str, folder: Path) -> str:
        """Does what a page tells a reader to type, for this project and from any folder."""
        command = command.replace("docker compose", " ".join(self.command))
        command = command.replace("radii_store", f"{self.project}_store")
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env={
                **os.environ,
                **self.settings,
                "RADII_PORT": str(self.port),
                "COMPOSE_FILE": str(ROOT / "docker-compose.yml"),
                "COMPOSE_PROJECT_NAME": self.project,
            },
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
        return ran.stdout.strip()

    def containers(self, *services: str) -> list[dict[str, Any]]:
        """What docker knows of the containers of some services, or of all."""
        return [inspect(name) for name in self("ps", "-q", *services).split()]

    def execute(self, service: str, *command: str, check: bool = True) -> str:
        """Runs a command in the first container of a service."""
        return docker("exec", self("ps", "-q", service).split()[0], *command, check=check)

    def http(self) -> httpx.Client:
        """A client that has the operator's key."""
        return httpx.Client(base_url=self.url, timeout=60, headers={"X-API-Key": self.key})

    def submit(self, wait: int = 0, **fields: object) -> Job:
        """Certifies the shipped picture at a fixed level, as it is, unless told otherwise."""
        asked: dict[str, object] = {"sigma": 0.5, "adapt": "false", **fields}
        with self.http() as http, PICTURE.open("rb") as picture:
            response = http.post(
                "/certify",
                files={"image": picture},
                data={name: str(value) for name, value in asked.items()},
                headers={"Prefer": f"wait={wait}"} if wait else {},
            )
        assert response.status_code in (200, 202), response.text
        return Job.model_validate_json(response.content)

    def job(self, job_id: str) -> Job:
        """Reads a job's state."""
        with self.http() as http:
            response = http.get(f"/jobs/{job_id}")
        assert response.status_code == 200, response.text
        return Job.model_validate_json(response.content)

    def until(self, job_id: str, reached: Callable[[Job], bool]) -> Job:
        """Polls a job until it is as wanted."""
        until(lambda: reached(self.job(job_id)), lambda: f"not reached: {self.job(job_id)}")
        return self.job(job_id)

    def wait_until_ready(self, engines: int = 1, seconds: float = 240) -> None:
        """Waits until so many engines have a model ready."""
        until(lambda: self._engines() == engines, "not ready", seconds)

    def _engines(self) -> int:
        try:
            response = httpx.get(f"{self.url}/readyz", timeout=5)
        except httpx.TransportError:
            return -1
        found: int = response.json()["engines"] if response.status_code == 200 else -1
        return found

    def radii(self, *arguments: str) -> Ran:
        """Runs the command line against this stack."""
        return radii(*arguments, RADII_URL=self.url, RADII_API_KEY=self.key)
