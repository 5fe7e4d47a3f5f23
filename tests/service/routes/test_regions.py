"""The memory of certified regions over HTTP."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from redis import Redis

from contract import keys
from contract.choices import MemoryOutcome
from contract.limits import REGIONS_PAGE
from contract.models import ModelInfo
from contract.regions import RegionPage, StoredRegion
from contract.requests import CertifyRequest
from service.app import create_app
from service.settings import ServiceSettings

Remember = Callable[..., None]


def region(index: int, **fields: Any) -> StoredRegion:
    """A record of a log, told from others by its numbers."""
    defaults: dict[str, Any] = {
        "certificate_id": f"{index:032x}",
        "image_digest": f"{index:064x}",
        "label": index % 10,
        "l2": index / 4,
        "l1": index / 2,
        "outcome": MemoryOutcome.ADDED,
        "question": "f" * 64,
        "created_at": datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
    }
    return StoredRegion.model_validate(defaults | fields)


@pytest.fixture
def remember(redis: Redis, toy: ModelInfo) -> Remember:
    """Writes a log as workers do."""

    def write(*records: StoredRegion, memory: str = "default", epoch: str = "e" * 32) -> None:
        head = ""
        for record in records:
            text = record.model_dump_json()
            redis.rpush(keys.memory_log(toy.digest, memory), text)
            head = hashlib.sha1(f"{head}{text}".encode(), usedforsecurity=False).hexdigest()
        redis.hset(keys.memory_head(toy.digest, memory), mapping={"epoch": epoch, "head": head})

    return write


@pytest.fixture
def ask(api: httpx.Client) -> Callable[..., RegionPage]:
    """Reads a page of `toy`."""

    def get(**fields: Any) -> RegionPage:
        response = api.get("/regions", params={"model": "toy", **fields})
        assert response.status_code == 200, response.text
        return RegionPage.model_validate(response.json())

    return get


def test_empty_memory(ask: Callable[..., RegionPage], toy: ModelInfo) -> None:
    """Nothing was ever stored, so that there is no epoch."""
    page = ask()
    assert (page.model, page.model_digest, page.memory) == ("toy", toy.digest, "default")
    assert (page.epoch, page.total, page.regions, page.next) == (None, 0, [], None)


def test_region_is_told_as_it_was_stored(ask: Callable[..., RegionPage], remember: Remember) -> None:
    """With its place and the name of its label; what was asked is left out."""
    stored = region(7, outcome=MemoryOutcome.CLIPPED)
    remember(region(0), stored)
    page = ask()
    first, second = page.regions
    assert (page.epoch, page.total, page.next, first.index) == ("e" * 32, 2, None, 0)
    assert (second.index, second.label.index, second.label.name) == (1, 7, "digit 7")
    told = second.model_dump(exclude={"index", "label"})
    assert told == stored.model_dump(exclude={"label", "question"})


def test_pages(ask: Callable[..., RegionPage], remember: Remember) -> None:
    """Each says where the next one begins; together they are the log."""
    remember(*(region(index) for index in range(250)))
    sizes, start, seen = [], 0, []
    while start is not None:
        page = ask(start=start)
        sizes.append(len(page.regions))
        seen += [one.index for one in page.regions]
        start = page.next
    assert (sizes, seen) == ([100, 100, 50], list(range(250)))
    assert ask(limit=50, start=200).next is None
    assert ask(limit=1, start=248).next == 249
    assert [one.certificate_id for one in ask(limit=1, start=9).regions] == [f"{9:032x}"]
    assert len(ask(limit=REGIONS_PAGE).regions) == 250
    for start in (250, 10**6, 2**32):
        page = ask(start=start)
        assert (page.total, page.regions, page.next) == (250, [], None)


def test_memories_are_apart(ask: Callable[..., RegionPage], remember: Remember, api: httpx.Client) -> None:
    """By their names, and by their models."""
    remember(region(1))
    remember(region(2), region(3), memory="mine", epoch="f" * 32)
    assert (ask().total, ask(memory="mine").total, ask(memory="theirs").total) == (1, 2, 0)
    assert ask(memory="mine").epoch == "f" * 32


def test_default_model(
    remember: Remember, redis_url: str, beat: Callable[..., None], serve_app: Callable[..., Any]
) -> None:
    """As everywhere."""
    beat()
    remember(region(1))
    with serve_app(create_app(ServiceSettings(redis_url=redis_url, default_model="toy"))) as url:
        assert httpx.get(f"{url}/regions").json()["total"] == 1


@pytest.mark.parametrize(
    ("fields", "pointer", "message"),
    [
        ({"start": -1}, "/start", "'start' must be >= 0, got -1"),
        ({"start": 2**32 + 1}, "/start", "'start' must be <= 4294967296, got 4294967297"),
        ({"start": "x"}, "/start", "'start' must be an integer, got 'x'"),
        ({"limit": 0}, "/limit", "'limit' must be >= 1, got 0"),
        ({"limit": 1001}, "/limit", "'limit' must be <= 1000, got 1001"),
        ({"memory": "a:b"}, "/memory", "'memory' must be 1 to 64 characters of A-Za-z0-9_-, got 'a:b'"),
        ({"memory": ""}, "/memory", "'memory' must be 1 to 64 characters of A-Za-z0-9_-, got ''"),
        ({"memory": "off"}, "/memory", "'memory' must be a namespace, got 'off', which means no memory"),
        ({"model": ""}, "/model", "'model' must have at least 1 character, got ''"),
    ],
)
def test_wrong_field(api: httpx.Client, fields: dict[str, Any], pointer: str, message: str) -> None:
    """It is named, with its rule and its value."""
    response = api.get("/regions", params=fields)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_field")
    assert response.json()["errors"] == [{"pointer": pointer, "message": message}]


def test_names_of_memories_are_those_of_requests(api: httpx.Client) -> None:
    """What can be written to can be read, and nothing else."""
    (parameter,) = [
        one
        for one in api.get("/openapi.json").json()["paths"]["/regions"]["get"]["parameters"]
        if one["name"] == "memory"
    ]
    (written, _) = CertifyRequest.model_json_schema()["properties"]["memory"]["anyOf"]
    assert parameter["schema"]["pattern"] == written["pattern"]


def test_unknown_model(api: httpx.Client, bare_api: httpx.Client, redis: Redis) -> None:
    response = api.get("/regions", params={"model": "nobody"})
    assert (response.status_code, response.json()["code"]) == (422, "unknown_model")
    assert response.json()["errors"][0]["pointer"] == "/model"
    redis.flushall()
    assert bare_api.get("/regions").json()["code"] == "no_workers"


@pytest.mark.parametrize(
    "damage", ["", "{}", "nonsense", '{"label": 3}', region(1, label=10), region(1, label=-1)]
)
def test_damaged_record(
    api: httpx.Client, remember: Remember, redis: Redis, toy: ModelInfo, damage: str | StoredRegion
) -> None:
    """A memory that cannot be read is no memory; the place is told, and what to do."""
    remember(region(0))
    redis.rpush(
        keys.memory_log(toy.digest, "default"),
        damage if isinstance(damage, str) else damage.model_dump_json(),
    )
    response = api.get("/regions", params={"model": "toy"})
    assert (response.status_code, response.json()["code"]) == (500, "memory_damaged")
    assert "region 1 cannot be read" in response.json()["detail"]
