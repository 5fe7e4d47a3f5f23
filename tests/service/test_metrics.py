"""`/metrics`: what Prometheus reads, and that reading changes nothing."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from contract import keys
from contract.metrics import FAMILIES, JOBS, QUEUE_SECONDS, RESTARTS, VOTES
from contract.models import FollowedMemory
from service.app import create_app
from service.settings import ServiceSettings

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(api: httpx.Client) -> Samples:
    response = api.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(response.text)
    return {
        (one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


@pytest.fixture
def own_api(redis_url: str, serve_app: Callable[[FastAPI], Any], beat: Callable[..., None]) -> Any:
    """An API that has counted nothing yet."""
    beat()
    with (
        serve_app(create_app(ServiceSettings(redis_url=redis_url))) as url,
        httpx.Client(base_url=url) as client,
    ):
        yield client


def test_names_follow_the_conventions(own_api: httpx.Client, redis: Redis) -> None:
    """Base units, `_total` for counters alone, help for everything, and each name once."""
    for family in FAMILIES.values():
        labels = ["x" for _ in family.labels]
        field = family.field(*labels, "+Inf") if family.buckets else family.field(*labels)
        redis.hset(keys.METRICS, field, 1)
    own_api.get("/nowhere")
    text = own_api.get("/metrics").text
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(set(names)) == len(names)
    assert {family.name for family in FAMILIES.values()} <= set(names)
    page = (Path(__file__).parents[2] / "docs" / "observability.md").read_text()
    for family in families:
        name = family.name + "_total" if family.type == "counter" else family.name
        assert f"`{name}`" in page or name.startswith("process_"), name
        assert re.fullmatch(r"(radii|process)_[a-z_]+", family.name)
        assert family.documentation
        assert family.type in ("counter", "gauge", "histogram")
        assert not re.search(r"(milliseconds|minutes|kilobytes|mb|_total)$", family.name)
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
    assert text.count("# TYPE") == len(names)


def test_requests_are_counted_by_template_and_reason(own_api: httpx.Client, png: bytes) -> None:
    own_api.get("/jobs/" + "a" * 32)
    own_api.get("/jobs/" + "b" * 32)
    own_api.request("PROPFIND", "/version")
    own_api.post("/certify", files={"image": b"nonsense"}, data={"model": "toy"})
    own_api.post("/certify", files={"image": png}, data={"model": "toy"})
    own_api.post("/predict", files={"image": png}, data={"model": "toy"})
    own_api.post(
        "/certify", content=b"x" * (13 * 1024 * 1024), headers={"Content-Type": "multipart/form-data"}
    )
    seen = scrape(own_api)
    requests = {
        tuple(sorted(dict(labels).items())): count
        for (name, labels), count in seen.items()
        if name == "radii_http_requests_total"
    }
    expected = [
        ("not_found", "GET", "/jobs/{job_id}", "404", 2),
        ("method_not_allowed", "other", "/version", "405", 1),
        ("unsupported_image_type", "POST", "/certify", "415", 1),
        ("", "POST", "/certify", "202", 1),
        ("", "POST", "/predict", "202", 1),
        ("body_too_large", "POST", "none", "413", 1),
    ]
    for code, method, route, status, count in expected:
        labels = (("code", code), ("method", method), ("route", route), ("status", status))
        assert requests.pop(labels) == count, labels
    assert requests == {}
    assert value(seen, "radii_http_request_seconds_count", method="GET", route="/jobs/{job_id}") == 2
    assert value(seen, "radii_submissions_total", kind="certify") == 1
    assert value(seen, "radii_submissions_total", kind="predict") == 1


def test_what_workers_counted_is_told_as_it_is(own_api: httpx.Client, redis: Redis) -> None:
    """Buckets add up; what another release counts is left out."""
    for field, by in {
        VOTES.field("toy"): 3e6,
        JOBS.field("certify", "toy", "failed", "timeout"): 2,
        RESTARTS.field("engine", "hung"): 1,
        QUEUE_SECONDS.field("toy", "0.1"): 3,
        QUEUE_SECONDS.field("toy", "30"): 1,
        QUEUE_SECONDS.field("toy", "+Inf"): 1,
        QUEUE_SECONDS.field("toy", "sum"): 4000.5,
        '["radii_of_tomorrow", "x"]': 1,
    }.items():
        redis.hincrbyfloat(keys.METRICS, field, by)
    seen = scrape(own_api)
    assert value(seen, "radii_votes_total", model="toy") == 3e6
    failed = {"kind": "certify", "model": "toy", "outcome": "failed", "code": "timeout"}
    assert value(seen, "radii_jobs_total", **failed) == 2
    assert value(seen, "radii_worker_restarts_total", process="engine", reason="hung") == 1
    buckets = {"0.05": 0, "0.1": 3, "10": 3, "30": 4, "3600": 4, "+Inf": 5}
    for bound, count in buckets.items():
        assert value(seen, "radii_job_queue_seconds_bucket", model="toy", le=bound) == count
    assert value(seen, "radii_job_queue_seconds_count", model="toy") == 5
    assert value(seen, "radii_job_queue_seconds_sum", model="toy") == 4000.5
    assert value(seen, "radii_batches_halved_total") == 0


def test_the_queue_is_told_and_not_touched(own_api: httpx.Client, redis: Redis, png: bytes) -> None:
    """Also a job whose worker was lost stays where it is: giving it up is not for a reader."""
    for _ in range(3):
        own_api.post("/certify", files={"image": png}, data={"model": "toy"})
    first: Any = redis.lindex("rq:queue:radii", 0)
    redis.delete(keys.events(first.decode()))
    redis.xadd(keys.events(first.decode()), {"progress": "{}"}, id=f"{(redis.time()[0] - 100) * 1000}-0")  # type: ignore[index, operator]
    redis.zadd("rq:wip:radii", {"lost:1": 1, "running:2": 4e9})
    redis.rpush("rq:queue:radii:intermediate", "taken")
    before = {key: redis.dump(key) for key in redis.keys("rq:*")}  # type: ignore[union-attr]
    seen = scrape(own_api)
    assert value(seen, "radii_queue_jobs") == 3
    assert value(seen, "radii_running_jobs") == 2
    assert value(seen, "radii_taken_jobs") == 1
    assert 99 <= value(seen, "radii_queue_oldest_seconds") <= 110
    assert {key: redis.dump(key) for key in redis.keys("rq:*")} == before  # type: ignore[union-attr]


def test_engines_and_their_memories_are_told(own_api: httpx.Client, redis: Redis) -> None:
    """Those that are alive; the memories by what Redis holds now."""
    for engine, ago in (("one", 0), ("old", 100)):
        status: Any = json.loads(redis.get(keys.engine("engine-1")) or "")  # type: ignore[arg-type]
        memory = FollowedMemory(model="toy", model_digest="d" * 64, namespace="default")
        status |= {
            "engine_id": engine,
            "host": "here",
            "resident_bytes": 5000,
            "votes_per_second": {"toy": 1.5},
            "memories": [memory.model_dump()],
        }
        redis.set(keys.engine(engine), json.dumps(status))
        redis.zadd(keys.ENGINES, {engine: redis.time()[0] - ago})  # type: ignore[index, operator]
    redis.rpush(keys.memory_log("d" * 64, "default"), *["region"] * 7)
    seen = scrape(own_api)
    assert value(seen, "radii_engines_alive") == 2
    assert value(seen, "radii_model_ready", model="toy") == 1
    assert value(seen, "radii_engine_resident_bytes", engine="one", host="here") == 5000
    assert ("radii_engine_resident_bytes", frozenset({("engine", "old"), ("host", "here")})) not in seen
    assert value(seen, "radii_votes_per_second", model="toy") == 1.5
    assert value(seen, "radii_memory_regions", model="toy", memory="default") == 7
    assert value(seen, "radii_memory_bytes", model="toy", memory="default") > 50


def test_a_store_that_is_away_is_told(serve_app: Callable[[FastAPI], Any]) -> None:
    """The rest is told all the same."""
    app = create_app(ServiceSettings(redis_url="redis://127.0.0.1:1/0"))
    with serve_app(app) as url, httpx.Client(base_url=url) as api:
        api.get("/version")
        seen = scrape(api)
    assert value(seen, "radii_redis_up") == 0
    labels = {"method": "GET", "route": "/version", "status": "200", "code": ""}
    assert value(seen, "radii_http_requests_total", **labels) == 1
    assert not [name for name, _ in seen if name.startswith("radii_queue")]
