"""The embedded store: one server per data directory, and what it holds survives."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis, exceptions

from radii import embedded
from radii.stack import free_port


@contextmanager
def server(folder: Path) -> Iterator[tuple[Redis, subprocess.Popen[bytes]]]:
    """A server in ``folder`` that answers."""
    port = free_port()
    command = [sys.executable, "-m", "radii.embedded", str(folder), "--port", str(port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stdin is not None
    try:
        with Redis.from_url(embedded.url(folder, port)) as redis:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                try:
                    redis.ping()
                    break
                except exceptions.ConnectionError:
                    time.sleep(0.05)
            yield redis, process
    finally:
        process.terminate()
        process.wait(20)
        process.stdin.close()


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    """The data directory holds the store."""
    with server(tmp_path) as (redis, _):
        redis.set("kept", "yes")
    with server(tmp_path) as (redis, _):
        assert redis.get("kept") == b"yes"


def test_a_data_directory_has_one_server(tmp_path: Path) -> None:
    """A second one would destroy the first one's files."""
    with server(tmp_path), pytest.raises(embedded.DataDirectoryInUse, match="in use by another"):
        embedded.lock(tmp_path)


def test_strangers_are_refused(tmp_path: Path) -> None:
    """Other users of the machine can reach the port, and need the password."""
    with server(tmp_path) as (redis, _):
        port = redis.connection_pool.connection_kwargs["port"]
        with Redis(port=port) as stranger, pytest.raises(exceptions.AuthenticationError):
            stranger.ping()
    assert (tmp_path / "password").stat().st_mode & 0o077 == 0


def test_it_neither_evicts_nor_forgets(tmp_path: Path) -> None:
    """A full store refuses; it does not drop certificates."""
    with server(tmp_path) as (redis, _):
        assert redis.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        assert redis.config_get("appendonly")["appendonly"] == "yes"


def test_it_ends_when_its_parent_does(tmp_path: Path) -> None:
    """However the parent ended: its end of the pipe closes."""
    with server(tmp_path) as (redis, process):
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)
        with pytest.raises(exceptions.ConnectionError):
            redis.ping()
