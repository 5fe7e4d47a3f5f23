"""Models and readiness, from what engines say."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from redis import Redis

from contract import keys
from contract.models import ModelInfo
from contract.settings import Timing
from service.app import create_app
from service.settings import ServiceSettings

Beat = Callable[..., None]
TIMING = Timing()


def test_no_engine_no_models(bare_api: httpx.Client) -> None:
    assert bare_api.get("/models").json() == {"default": None, "models": []}


def test_models_are_listed_default_first(bare_api: httpx.Client, beat: Beat, toy: ModelInfo) -> None:
    """The default is the first one that is ready."""
    broken = toy.model_copy(update={"name": "broken", "ready": False, "reason": "its digest is wrong"})
    beat(toy, broken)
    listing = bare_api.get("/models").json()
    assert listing["default"] == "toy"
    assert [model["name"] for model in listing["models"]] == ["toy", "broken"]
    assert bare_api.get("/models/broken").json() == broken.model_dump(mode="json")


def test_unknown_model(api: httpx.Client) -> None:
    response = api.get("/models/nobody")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_ready_if_any_engine_is(bare_api: httpx.Client, beat: Beat, toy: ModelInfo) -> None:
    """Another's trouble does not count, whoever was heard of last."""
    broken = toy.model_copy(update={"ready": False, "reason": "no memory"})
    beat(toy, engine_id="good", ago=5)
    beat(broken, engine_id="bad")
    assert bare_api.get("/models/toy").json()["ready"] is True


def test_silent_engine_is_known_but_not_ready(
    bare_api: httpx.Client, beat: Beat, toy: ModelInfo, png: bytes
) -> None:
    """Jobs are still taken for it: it may be restarting."""
    beat(toy, ago=TIMING.engine_alive_seconds + 1)
    model = bare_api.get("/models/toy").json()
    assert (model["ready"], "has reported" in model["reason"]) == (False, True)
    assert bare_api.get("/readyz").status_code == 503
    response = bare_api.post("/certify", files={"image": ("image", png)})
    assert (response.status_code, response.json()["model"]) == (202, "toy")


def test_engine_is_forgotten(bare_api: httpx.Client, beat: Beat) -> None:
    beat(ago=TIMING.engine_known_seconds + 1)
    assert bare_api.get("/models").json()["models"] == []


def test_engine_whose_status_is_gone(bare_api: httpx.Client, beat: Beat, redis: Redis) -> None:
    """The heartbeat's two keys need not expire together."""
    beat()
    redis.delete(keys.engine("engine-1"))
    assert bare_api.get("/models").json()["models"] == []


def test_ready(bare_api: httpx.Client, beat: Beat, toy: ModelInfo) -> None:
    """Redis answers and a worker has a model ready."""
    problem = bare_api.get("/readyz")
    assert (problem.status_code, problem.json()["code"]) == (503, "no_workers")
    beat(toy)
    assert bare_api.get("/readyz").json() == {"ready": True, "engines": 1, "models": ["toy"]}
    beat(toy.model_copy(update={"ready": False, "reason": "no memory"}))
    assert bare_api.get("/readyz").status_code == 503


@pytest.mark.parametrize(("default", "status"), [("toy", 202), ("nobody", 503)])
def test_operators_default_model(
    redis_url: str, beat: Beat, png: bytes, serve_app: Any, default: str, status: int
) -> None:
    """One that no worker holds is not the client's fault."""
    beat()
    settings = ServiceSettings(redis_url=redis_url, default_model=default)
    with serve_app(create_app(settings)) as url:
        response = httpx.post(f"{url}/certify", files={"image": ("image", png)})
        assert response.status_code == status
        assert httpx.get(f"{url}/models").json()["default"] == default
