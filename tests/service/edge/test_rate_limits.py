"""How many requests one caller may make, and who counts as one caller."""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import limits
import pytest
from pydantic import ValidationError
from redis import Redis

from service.app import create_app
from service.edge.callers import Caller, KeyScope
from service.edge.rate_limits import Allowance, RateLimit, account_of
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
    """429 with the time after which there is room again; nothing is enqueued."""
    with limited(rate_limit_submit="2/minute") as url:
        first, second, third = (submit(url, png) for _ in range(3))
        assert [first.status_code, second.status_code, third.status_code] == [202, 202, 429]
        assert third.json()["code"] == "rate_limited"
        assert "at most 2 requests in 60 s" in third.json()["detail"]
        assert first.headers["RateLimit-Policy"] == '"submit";q=2;w=60'
        assert re.fullmatch(r'"submit";r=1;t=(59|60)', first.headers["RateLimit"])
        assert third.headers["RateLimit"].startswith('"submit";r=0;t=')
        assert third.headers["X-Request-ID"]
        assert redis.llen("rq:queue:radii") == 2
        assert 50 <= int(third.headers["Retry-After"]) <= 60


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


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_window_moves() -> None:
    """Room comes back request by request, exactly when the oldest leaves the window."""
    clock = Clock()
    limit = RateLimit("submit", limits.parse("3/10 second"), clock)
    taken = []
    for _ in range(4):
        taken.append(limit.take("ann"))
        clock.now += 2
    assert [(one.allowed, one.remaining, one.reset) for one in taken] == [
        (True, 2, 10), (True, 1, 8), (True, 0, 6), (False, 0, 4),
    ]  # fmt: skip
    clock.now = 1009.9
    assert not limit.take("ann").allowed
    clock.now = 1010
    assert limit.take("ann").allowed
    assert not limit.take("ann").allowed


def test_no_window_of_any_length_holds_more_than_its_limit() -> None:
    """Against a count of all moments, for callers that come at random."""
    clock, source = Clock(), random.Random(7)
    limit = RateLimit("submit", limits.parse("5/10 second"), clock)
    passed: dict[str, list[float]] = {"ann": [], "bob": []}
    for _ in range(2000):
        clock.now += source.expovariate(2)
        caller = source.choice(["ann", "bob"])
        recent = [moment for moment in passed[caller] if moment > clock.now - 10]
        taken = limit.take(caller)
        assert taken.allowed == (len(recent) < 5)
        assert taken.remaining == max(0, 5 - len(recent) - 1)
        if taken.allowed:
            passed[caller].append(clock.now)
    assert min(map(len, passed.values())) > 200


def test_idle_callers_are_forgotten() -> None:
    """However many there are, their windows take bounded memory."""
    clock = Clock()
    limit = RateLimit("submit", limits.parse("1/10 second"), clock)
    for caller in range(20_000):
        limit.take(f"address:{caller}")
    assert len(limit._windows) == 10_000
    clock.now += 10
    assert len(limit._windows) == 0


def test_a_rate_of_zero_refuses_everything() -> None:
    assert RateLimit("submit", limits.parse("0/minute"), Clock()).take("ann") == Allowance(False, 0, 60)


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
    caller = Caller("ci", "team", frozenset(KeyScope))
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
