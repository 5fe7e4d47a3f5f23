"""What `radii serve` starts its parts with: real processes, and what the kernel says of them."""

import sys
from pathlib import Path

import pytest

from radii import embedded
from radii.stack import Stack, StackPlan, free_port
from tests.support.service import is_there
from tests.support.store import open_store
from tests.support.waiting import until


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:1"),
        ("0.0.0.0", "http://127.0.0.1:1"),
        ("::1", "http://[::1]:1"),
        ("::", "http://[::1]:1"),
        ("localhost", "http://localhost:1"),
    ],
)
def test_where_the_api_can_be_reached(tmp_path: Path, host: str, url: str) -> None:
    """An address of IPv6 stands in brackets in a URL."""
    assert Stack(StackPlan(tmp_path, host, 1)).url == url


@pytest.mark.skipif(sys.platform != "linux", reason="the environment of a process is read from /proc")
def test_parts_get_what_the_operator_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time to stop is the operator's, the password stays in its file, and IPv6 is served."""
    folder = tmp_path / "store"
    with open_store(folder) as (redis, _):
        monkeypatch.setenv("RADII_REDIS_PASSWORD_FILE", str(folder / "password"))
        monkeypatch.setenv("RADII_STOP_GRACE", "33")
        store = f"redis://127.0.0.1:{redis.connection_pool.connection_kwargs['port']}/0"
        plan = StackPlan(tmp_path / "data", "::1", free_port(), redis_url=store)
        with Stack(plan) as stack:
            environments = [
                Path(f"/proc/{stack.pid(name)}/environ").read_bytes().decode() for name in ("API", "worker 1")
            ]
            until(lambda: is_there(stack.url))
    for environment in environments:
        assert embedded.password(folder) not in environment
        assert "RADII_STOP_GRACE=33.0" in environment.split("\0")
