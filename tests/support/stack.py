"""Stacks for tests: all of it as `radii serve` starts it, or part by part."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from redis import Redis

from radii.stack import Stack, StackPlan, free_port, tail
from tests.support.command_line import ROOT
from tests.support.service import Service, engines, is_there
from tests.support.store import open_valkey
from tests.support.timings import FAST_ENVIRONMENT, RUDE
from tests.support.waiting import until


def settings(bundles: Path, **more: str) -> dict[str, str]:
    """The environment of a stack: bundles that `tests.support.networks` has, and little patience."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {"RADII_MODELS": str(bundles), "PYTHONPATH": path, **FAST_ENVIRONMENT, **RUDE, **more}


def of_one_model(bundles: Path, model: str, **more: str) -> dict[str, str]:
    """The environment of a stack that has a model of our own for default, run as simply as can be."""
    simple = {
        "RADII_DEFAULT_MODEL": model,
        "RADII_BACKEND": "eager",
        "RADII_AUTH": "off",
        "RADII_THREADS": "1",
    }
    return settings(bundles, **simple, **more)


@contextmanager
def open_stack(folder: Path, environment: dict[str, str], workers: int = 2) -> Iterator[Service]:
    """A store, an API that asks for keys, and workers; the end of their log is printed when a test fails."""
    with (folder / "radii.log").open("a") as log:
        plan = StackPlan(
            folder / "store",
            port=free_port(),
            workers=workers,
            environment=environment,
            stop_grace=1,
            log=log,
        )
        try:
            with Stack(plan) as stack:
                stack.wait_until_ready()
                headers = {"X-API-Key": stack.api_key}
                with (
                    httpx.Client(base_url=stack.url, timeout=60, headers=headers) as http,
                    Redis.from_url(stack.redis_url) as redis,
                ):
                    service = Service(http, redis, stack.url, stack.redis_url, plan.data_dir)
                    service.wait_for_engines(workers)
                    yield service
        finally:
            print(tail(folder / "radii.log", 60))  # noqa: T201 (pytest shows it when a test fails)


@dataclass
class Part:
    """One process of a stack, and where it writes."""

    process: subprocess.Popen[bytes]
    log: Path

    def stop(self, seconds: float = 60) -> int:
        """Asks it to end; returns its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(seconds)

    def lines(self) -> list[dict[str, Any]]:
        """What it and its children wrote: each line is one JSON object."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@dataclass
class Parts:
    """A store, and what is started beside it."""

    folder: Path
    redis: Redis
    environment: dict[str, str]
    started: list[Part] = field(default_factory=list)
    clients: list[httpx.Client] = field(default_factory=list)

    def start(self, name: str, *arguments: str, **environment: str) -> Part:
        """Starts a command of `radii`, with its output in a file."""
        log = self.folder / f"{name}-{len(self.started)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "radii", *arguments],
                env={**os.environ, **self.environment, **environment},
                stdout=file,
                stderr=file,
            )
        part = Part(process, log)
        self.started.append(part)
        return part

    def start_api(self, **environment: str) -> tuple[Part, httpx.Client]:
        """Starts an API and waits until it answers."""
        port = free_port()
        part = self.start("api", "api", "--port", str(port), **environment)
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        self.clients.append(client)
        until(lambda: is_there(str(client.base_url)), lambda: f"no API: {part.log.read_text()}")
        return part, client

    def start_worker(self, **environment: str) -> Part:
        """Starts a worker and waits until it has a model ready."""
        known = set(engines(self.redis))
        part = self.start("worker", "worker", **environment)
        until(lambda: set(engines(self.redis)) - known, lambda: f"no engine: {part.log.read_text()}")
        return part

    def newest_engine(self) -> str:
        """The engine that was started last."""
        return max(engines(self.redis).items(), key=lambda item: item[1].started_at)[0]


@contextmanager
def open_parts(folder: Path, environment: dict[str, str]) -> Iterator[Parts]:
    """A store of its own, and nothing else yet; all that was started is stopped in the end."""
    with open_valkey(appendonly="yes", appendfsync="everysec", save="") as server:
        url = f"{server.connection_url}/0"
        logs = {"RADII_LOG_FORMAT": "json", "RADII_LOG_LEVEL": "info"}
        with Redis.from_url(url) as redis:
            parts = Parts(folder, redis, {**environment, **logs, "RADII_REDIS_URL": url})
            try:
                yield parts
            finally:
                for client in parts.clients:
                    client.close()
                for part in parts.started:
                    part.stop()
