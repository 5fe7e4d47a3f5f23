"""Readiness on a store that may lose what was promised."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from redis import Redis

from service.app import create_app
from service.settings import ServiceSettings

FORGETFUL = [
    ({"maxmemory-policy": "allkeys-lru"}, ["'maxmemory-policy' must be noeviction, got allkeys-lru"]),
    ({"maxmemory-policy": "volatile-ttl"}, ["'maxmemory-policy' must be noeviction, got volatile-ttl"]),
    ({"appendonly": "no"}, ["'appendonly' must be yes, got no"]),
    (
        {"maxmemory-policy": "allkeys-random", "appendonly": "no"},
        ["'maxmemory-policy' must be noeviction, got allkeys-random", "'appendonly' must be yes, got no"],
    ),
]


@contextmanager
def configured(redis: Redis, settings: dict[str, str]) -> Iterator[None]:
    """The server with other settings, for a while."""
    before: dict[str, str] = redis.config_get(*settings)  # type: ignore[assignment]
    for name, value in settings.items():
        redis.config_set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            redis.config_set(name, value)


@contextmanager
def user(redis: Redis, *forbidden: str) -> Iterator[str]:
    """A user of the server who may do all but some commands; gives his address."""
    commands = [f"-{command}" for command in forbidden]
    everything: dict[str, Any] = {"categories": ["+@all"], "keys": ["*"], "channels": ["*"]}
    redis.acl_setuser("guest", enabled=True, passwords=["+word"], commands=commands, **everything)
    port = redis.connection_pool.connection_kwargs["port"]
    try:
        yield f"redis://guest:word@127.0.0.1:{port}/0"
    finally:
        redis.acl_deluser("guest")


def volatile(response: httpx.Response) -> str:
    """The words of the refusal."""
    assert (response.status_code, response.json()["code"]) == (503, "volatile_store"), response.text
    assert int(response.headers["Retry-After"]) > 0
    return str(response.json()["detail"])


@pytest.mark.parametrize(("settings", "words"), FORGETFUL)
def test_forgetful_store(api: httpx.Client, redis: Redis, settings: dict[str, str], words: list[str]) -> None:
    """Setting, rule and value are named, and what an operator can do who knows."""
    assert api.get("/readyz").status_code == 200
    with configured(redis, settings):
        detail = volatile(api.get("/readyz"))
        assert " and ".join(words) in detail
        assert "RADII_ALLOW_VOLATILE_MEMORY=1" in detail
        assert api.get("/models").status_code == 200
    assert api.get("/readyz").status_code == 200


def test_forgetful_store_that_the_operator_accepts(
    redis: Redis, redis_url: str, beat: Callable[..., None], serve_app: Callable[..., Any]
) -> None:
    beat()
    settings = ServiceSettings(redis_url=redis_url, allow_volatile_memory=True)
    with serve_app(create_app(settings)) as url, configured(redis, {"appendonly": "no"}):
        assert httpx.get(f"{url}/readyz").json()["ready"] is True


@pytest.mark.parametrize(("settings", "words"), [({"appendonly": "yes"}, []), *FORGETFUL])
def test_store_that_tells_no_settings(
    redis: Redis,
    beat: Callable[..., None],
    serve_app: Callable[..., Any],
    settings: dict[str, str],
    words: list[str],
) -> None:
    """Managed servers forbid CONFIG; what they say of themselves tells the same."""
    beat()
    with (
        user(redis, "config") as redis_url,
        configured(redis, settings),
        serve_app(create_app(ServiceSettings(redis_url=redis_url))) as url,
    ):
        response = httpx.get(f"{url}/readyz")
        if words:
            assert " and ".join(words) in volatile(response)
        else:
            assert response.json()["ready"] is True


def test_store_that_tells_nothing(
    redis: Redis, beat: Callable[..., None], serve_app: Callable[..., Any]
) -> None:
    """What cannot be known is not relied upon."""
    beat()
    with (
        user(redis, "config", "info") as redis_url,
        serve_app(create_app(ServiceSettings(redis_url=redis_url))) as url,
    ):
        detail = volatile(httpx.get(f"{url}/readyz"))
        assert "'maxmemory-policy' must be noeviction, got unknown" in detail
        assert "'appendonly' must be yes, got unknown" in detail
