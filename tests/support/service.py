"""A service that runs, and how tests talk to it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from contract import keys
from contract.jobs import Job
from contract.models import EngineStatus
from radii.own_key import plain_file
from tests.support.command_line import PICTURE
from tests.support.processes import is_alive
from tests.support.waiting import until

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def is_ready(url: str) -> bool:
    """Whether requests can be served there."""
    return _answers(url, "/readyz")


def is_there(url: str) -> bool:
    """Whether an API answers there, ready or not."""
    return _answers(url, "/livez")


def _answers(url: str, path: str) -> bool:
    try:
        # Reading certificates that nobody asks for takes a poll longer than all the rest of it.
        return httpx.get(f"{url}{path}", timeout=10, verify=False).status_code == 200
    except httpx.TransportError:
        return False


def submit(
    http: httpx.Client,
    picture: bytes,
    wait: int = 0,
    request_id: str = "",
    path: str = "/certify",
    **fields: object,
) -> Job:
    """Submits a picture with just these fields; returns the job after a while, or as soon as it has ended."""
    response = http.post(
        path,
        files={"image": picture},
        data={name: str(value) for name, value in fields.items()},
        headers={
            **({"Prefer": f"wait={wait}"} if wait else {}),
            **({"X-Request-ID": request_id} if request_id else {}),
        },
    )
    assert response.status_code in (200, 202), response.text
    return Job.model_validate_json(response.content)


def read(http: httpx.Client, job_id: str, wait: int = 0) -> Job:
    """Reads a job's state."""
    response = http.get(f"/jobs/{job_id}", params={"wait": wait})
    assert response.status_code == 200, response.text
    return Job.model_validate_json(response.content)


def final(http: httpx.Client, job_id: str, seconds: float = 240) -> Job:
    """Waits until a job has ended."""
    found: list[Job] = []

    def ended() -> bool:
        found.append(read(http, job_id, wait=5))
        return found[-1].status.final

    until(ended, lambda: f"the job has not ended: {found[-1]}", seconds)
    return found[-1]


def scrape(http: httpx.Client) -> Samples:
    """Every sample of `/metrics`, by name and labels, as Prometheus reads it."""
    response = http.get("/metrics")
    assert response.status_code == 200, response.text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def sample(http: httpx.Client, name: str, **labels: str) -> float:
    """One sample; 0 if it is not there yet."""
    return scrape(http).get((name, frozenset(labels.items())), 0.0)


def engines(redis: Redis) -> dict[str, EngineStatus]:
    """What every engine last said of itself."""
    ids = [engine.decode() for engine in redis.zrange(keys.ENGINES, 0, -1)]
    texts = [(engine, redis.get(keys.engine(engine))) for engine in ids]
    return {engine: EngineStatus.model_validate_json(text) for engine, text in texts if text}


def living_engines(redis: Redis) -> list[EngineStatus]:
    """Those of the engines whose processes run."""
    return [engine for engine in engines(redis).values() if engine.pid is not None and is_alive(engine.pid)]


@dataclass(frozen=True)
class Service:
    """A whole stack, and how to talk to it."""

    http: httpx.Client
    redis: Redis
    url: str
    redis_url: str
    data_dir: Path
    picture: Path = PICTURE

    @property
    def key_file(self) -> Path:
        """Where the operator's key lies."""
        return plain_file(self.data_dir)

    def certify(self, wait: int = 30, **fields: object) -> Job:
        """Certifies the shipped picture at a fixed level, without adaptation: the least that can happen."""
        fixed: dict[str, object] = {"sigma": 0.5, "adapt": "false"}
        return self.certify_picture(self.picture.read_bytes(), wait, **{**fixed, **fields})

    def ask(self, picture: Path | None = None, **fields: object) -> Job:
        """Submits a picture with just these fields, and does not wait."""
        return self.certify_picture((picture or self.picture).read_bytes(), 0, **fields)

    def certify_picture(self, picture: bytes, wait: int = 30, **fields: object) -> Job:
        """Certifies any picture; without ``wait`` the job has only been let in."""
        return self._ended(submit(self.http, picture, wait, **fields), wait)

    def predict(self, picture: bytes | None = None, **fields: object) -> Job:
        """Asks for a label alone, and waits for it."""
        picture = picture or self.picture.read_bytes()
        return self._ended(submit(self.http, picture, 30, path="/predict", **fields), 30)

    def _ended(self, job: Job, wait: int) -> Job:
        """The answer comes after ``wait`` seconds at most; a busy machine may need more."""
        return self.final(job.id) if wait and not job.status.final else job

    def job(self, job_id: str, wait: int = 0) -> Job:
        """Reads a job's state."""
        return read(self.http, job_id, wait)

    def until(self, job_id: str, reached: Callable[[Job], bool], seconds: float = 240) -> Job:
        """Polls a job until it is as wanted."""
        found: list[Job] = []

        def look() -> Job | None:
            found.append(self.job(job_id))
            return found[-1] if reached(found[-1]) else None

        job = until(look, lambda: f"not reached: {found[-1]}", seconds)
        assert job is not None
        return job

    def final(self, job_id: str, seconds: float = 240) -> Job:
        """Waits until a job has ended."""
        return final(self.http, job_id, seconds)

    def engines(self) -> list[EngineStatus]:
        """What every engine last said of itself."""
        return list(engines(self.redis).values())

    def living_engines(self) -> list[EngineStatus]:
        """Those of the engines whose processes run."""
        return living_engines(self.redis)

    def wait_for_engines(self, number: int = 2) -> None:
        """Waits until so many engines are up."""
        until(lambda: len(self.living_engines()) >= number, "a worker did not come up")
