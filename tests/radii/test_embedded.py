"""The embedded store: one server per data directory, and what it holds survives."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis, exceptions

from radii import embedded
from radii.stack import free_port
from tests.support.store import open_store
from tests.support.waiting import until


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    """The data directory holds the store."""
    with open_store(tmp_path) as (redis, _):
        redis.set("kept", "yes")
    with open_store(tmp_path) as (redis, _):
        assert redis.get("kept") == b"yes"


def test_a_data_directory_has_one_open_store(tmp_path: Path) -> None:
    """A second one would destroy the first one's files."""
    with open_store(tmp_path), pytest.raises(embedded.DataDirectoryInUse, match="in use by another"):
        embedded.lock(tmp_path)


def test_strangers_are_refused(tmp_path: Path) -> None:
    """Other users of the machine can reach the port, and need the password."""
    with open_store(tmp_path) as (redis, _):
        port = redis.connection_pool.connection_kwargs["port"]
        with Redis(port=port) as stranger, pytest.raises(exceptions.AuthenticationError):
            stranger.ping()
    assert (tmp_path / "password").stat().st_mode & 0o077 == 0


def test_the_password_is_whole_when_its_file_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server and its client start at once; whoever is first makes it, and both read the same."""
    made = iter(("first", "second"))

    def token(_: int) -> str:
        word = next(made)
        if word == "first":
            assert embedded.password(tmp_path) == "second"
        assert (tmp_path / "password").exists() is (word == "first")
        return word

    monkeypatch.setattr(embedded.secrets, "token_hex", token)
    assert embedded.password(tmp_path) == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["password"]


def test_it_neither_evicts_nor_forgets(tmp_path: Path) -> None:
    """A full store refuses; it does not drop certificates."""
    with open_store(tmp_path) as (redis, _):
        assert redis.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        assert redis.config_get("appendonly")["appendonly"] == "yes"


def test_its_log_is_in_its_folder_and_is_shown_if_it_fails(tmp_path: Path) -> None:
    """A terminal has no line of a store that works, and the reason of one that does not."""
    with open_store(tmp_path):
        pass
    assert "ready to exit" in (tmp_path / "store.log").read_text()
    next(tmp_path.glob("appendonlydir/*.manifest")).write_text("damaged\n")
    command = [sys.executable, "-m", "radii.embedded", str(tmp_path), "--port", str(free_port())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.wait(60) == 1
        assert process.stderr is not None
        said = process.stderr.read()
    assert "store.log" in said
    assert "manifest" in said


def test_it_ends_when_its_parent_does(tmp_path: Path) -> None:
    """However the parent ended: its end of the pipe closes."""
    with open_store(tmp_path) as (redis, process):
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)
        with pytest.raises(exceptions.ConnectionError):
            redis.ping()


def fill(redis: Redis) -> int:
    """Writes a KiB at a time until the server is gone; returns how many it acknowledged."""
    for number in range(1000):
        try:
            redis.set(f"key-{number}", b"x" * 1024)
        except exceptions.ConnectionError:
            return number
    raise AssertionError("the disk was never full")


def test_what_was_acknowledged_is_kept_when_the_disk_is_full(tmp_path: Path) -> None:
    """The server ends rather than acknowledge what it cannot write; the torn end of its file is cut off."""
    with open_store(tmp_path, before="ulimit -f 256") as (redis, process):
        acknowledged = fill(redis)
        assert process.wait(60) != 0
    assert 100 < acknowledged < 256
    with open_store(tmp_path) as (redis, _):
        assert redis.exists(*(f"key-{number}" for number in range(acknowledged))) == acknowledged


def test_what_was_acknowledged_is_on_the_disk(tmp_path: Path) -> None:
    """Before the answer, not within a second after it."""
    with open_store(tmp_path) as (redis, _):
        assert redis.config_get("appendfsync") == {"appendfsync": "always"}


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels leave an orphan")
def test_the_server_ends_when_what_holds_it_is_killed(tmp_path: Path) -> None:
    """Else the one that is started in its place would find the data directory in use."""
    with open_store(tmp_path) as (_, process):
        process.send_signal(signal.SIGKILL)
        process.wait()
        until(lambda: is_free(tmp_path))


def is_free(folder: Path) -> bool:
    try:
        os.close(embedded.lock(folder))
    except embedded.DataDirectoryInUse:
        return False
    return True
