"""What operators see of a running stack, and how its processes are replaced without a job being lost."""

import threading
from collections.abc import Iterator

import httpx
import pytest

from contract.choices import JobStatus, ProblemCode
from service.jobs.queue import record_key
from tests.support.bundles import make_bundle
from tests.support.command_line import radii
from tests.support.networks import ABORT, BRIGHT, BROKEN_DEVICE, CALM, HANG
from tests.support.pictures import grey
from tests.support.service import final, read, sample, scrape
from tests.support.service import submit as submit_picture
from tests.support.stack import Part, Parts, of_one_model, open_parts
from tests.support.waiting import until

MODEL = {"model": "moody"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """A store and a bundle for all tests of this module."""
    folder = tmp_path_factory.mktemp("site")
    make_bundle(folder / "bundles" / "moody", "Moody", ("dark", "bright"), n=200)
    environment = of_one_model(folder / "bundles", "moody", MOODY_MARKER=str(folder / "device-broken"))
    with open_parts(folder, {**environment, "RADII_STOP_GRACE": "20"}) as site:
        yield site


def submit(http: httpx.Client, value: float, request_id: str = "", **fields: object) -> str:
    """Submits a grey picture; returns the job's id."""
    asked = {"sigma": 0.01, "adapt": "false", **fields}
    return submit_picture(http, grey(value), request_id=request_id, **asked).id


@pytest.fixture(scope="module")
def api(site: Parts) -> tuple[Part, httpx.Client]:
    """One API for all of them."""
    return site.start_api()


@pytest.fixture(scope="module")
def http(api: tuple[Part, httpx.Client]) -> httpx.Client:
    """Its client."""
    return api[1]


@pytest.fixture(scope="module")
def worker(site: Parts) -> Part:
    """A worker that has little patience."""
    return site.start_worker(RADII_ENGINE_HANG_SECONDS="1")


def test_one_job_can_be_followed_through_all_logs(api: tuple[Part, httpx.Client], worker: Part) -> None:
    """The id of the request is on every line about the job, in every process; each line is one JSON object."""
    part, http = api
    job_id = submit(http, CALM, request_id="find-me-again")
    assert final(http, job_id).status is JobStatus.SUCCEEDED
    until(lambda: any(line["event"] == "job ended" for line in worker.lines()), "the relay has ended")
    about = [
        line
        for line in part.lines() + worker.lines()
        if line.get("job_id") == job_id and line.get("request_id") == "find-me-again"
    ]
    assert {line["process"] for line in about} == {"api", "relay", "engine"}
    for line in about:
        if line["process"] != "api":
            assert (line["attempt"], line["model"], line["kind"]) == (1, "moody", "certify")
    (request,) = [line for line in about if line["event"] == "request"]
    assert (request["method"], request["route"], request["status"]) == ("POST", "/certify", 202)
    assert request["seconds"] > 0


def test_probes_of_containers(api: tuple[Part, httpx.Client], worker: Part) -> None:
    """Of an API and of a worker that live."""
    assert radii("healthcheck", "--api", "--port", str(api[1].base_url.port)).returncode == 0
    assert radii("healthcheck", "--worker").returncode == 0


def test_counts_are_exact(site: Parts, http: httpx.Client, worker: Part) -> None:
    """Of every kind of answer, from the store alone: another API process tells the same."""
    before = scrape(http)
    certified = [final(http, submit(http, value, memory="default")) for value in (CALM, BRIGHT, CALM)]
    outcomes = [job.certificate.memory.outcome.value for job in certified if job.certificate]
    assert outcomes == ["added", "added", "repeated"]
    abstained = final(http, submit(http, 0.5, sigma=2))
    assert abstained.certificate is not None
    assert abstained.certificate.abstained
    http.post("/certify", files={"image": b"nonsense"}, data={})
    _, other = site.start_api()
    expected = {
        ("radii_jobs_total", ("code", ""), ("kind", "certify"), ("outcome", "succeeded")): 4,
        ("radii_certificates_total", ("memory", "added"), ("outcome", "certified")): 2,
        ("radii_certificates_total", ("memory", "repeated"), ("outcome", "certified")): 1,
        ("radii_certificates_total", ("memory", "off"), ("outcome", "abstained")): 1,
        ("radii_votes_total",): sum(
            job.certificate.compute.samples for job in (*certified, abstained) if job.certificate
        ),
        ("radii_job_queue_seconds_count",): 4,
        ("radii_job_compute_seconds_count",): 4,
        ("radii_job_compute_seconds_bucket", ("le", "+Inf")): 4,
    }
    for client in (http, other):
        after = scrape(client)
        for (name, *labels), value in expected.items():
            key = (name, frozenset([("model", "moody"), *labels]))
            assert after[key] - before.get(key, 0) == value, key
        assert after["radii_memory_regions", frozenset([("memory", "default"), ("model", "moody")])] == 2
        assert after["radii_engines_alive", frozenset()] == 1
        assert after["radii_model_ready", frozenset(MODEL.items())] == 1
        assert after["radii_queue_jobs", frozenset()] == 0
    refused = {"method": "POST", "route": "/certify", "status": "415", "code": "unsupported_image_type"}
    assert after.get(("radii_http_requests_total", frozenset(refused.items()))) is None
    assert sample(http, "radii_http_requests_total", **refused) == 1
    assert sample(http, "radii_submissions_total", kind="certify") >= 4


def test_a_job_that_kills_every_engine_is_given_up_and_the_next_one_runs(
    http: httpx.Client, worker: Part
) -> None:
    """Three engines die of it, and the client is told."""
    poisoned = final(http, submit(http, ABORT), seconds=120)
    assert poisoned.status is JobStatus.FAILED
    assert poisoned.error is not None
    assert (poisoned.error.code, poisoned.attempt) == (ProblemCode.WORKER_LOST, 3)
    assert final(http, submit(http, CALM)).status is JobStatus.SUCCEEDED
    assert sample(http, "radii_worker_restarts_total", process="engine", reason="died") == 3
    lost = {"kind": "certify", "outcome": "failed", "code": "worker_lost"}
    assert sample(http, "radii_jobs_total", **MODEL, **lost) == 1
    assert sample(http, "radii_job_retries_total", **MODEL) == 2


def test_a_lost_device_is_tried_again_by_a_new_engine(site: Parts, http: httpx.Client, worker: Part) -> None:
    """After a failed assertion on the device, no call of that process works any more."""
    before = site.newest_engine()
    job = final(http, submit(http, BROKEN_DEVICE), seconds=120)
    assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 2)
    assert site.newest_engine() != before
    assert sample(http, "radii_worker_restarts_total", process="engine", reason="device") == 1


def test_an_engine_that_hangs_is_killed_and_its_job_has_run_out_of_time(
    site: Parts, http: httpx.Client, worker: Part
) -> None:
    """In a loop in C that holds Python's lock: none of its threads runs, and it reads no socket."""
    engine = site.newest_engine()
    long = submit(http, CALM, n=5_000_000)
    until(lambda: read(http, long).progress.completed > 0)
    hanging = submit(http, HANG)
    site.redis.hset(record_key(hanging), "timeout", 2)  # while the worker is busy
    http.delete(f"/jobs/{long}")
    job = final(http, hanging)
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert job.error.code is ProblemCode.TIMEOUT
    assert final(http, submit(http, CALM, sigma=0.011)).status is JobStatus.SUCCEEDED
    assert site.newest_engine() != engine
    assert sample(http, "radii_worker_restarts_total", process="engine", reason="hung") == 1
    timeout = {"kind": "certify", "outcome": "failed", "code": "timeout"}
    assert sample(http, "radii_jobs_total", **MODEL, **timeout) == 1
    cancelled = {"kind": "certify", "outcome": "abandoned", "code": ""}
    assert sample(http, "radii_jobs_total", **MODEL, **cancelled) == 1


def test_an_engine_is_replaced_after_its_jobs_and_none_is_lost(
    site: Parts, http: httpx.Client, worker: Part
) -> None:
    """They wait while a new engine starts, and that is no attempt of theirs."""
    assert worker.stop() == 0
    short_lived = site.start_worker(RADII_ENGINE_MAX_JOBS="2")
    jobs = [submit(http, CALM, sigma=0.02 + number / 1000) for number in range(5)]
    ended = [final(http, job_id) for job_id in jobs]
    assert [(job.status, job.attempt) for job in ended] == [(JobStatus.SUCCEEDED, 1)] * 5
    assert sample(http, "radii_worker_restarts_total", process="engine", reason="jobs") == 2
    assert not [line for line in short_lived.lines() if line["level"] in ("error", "critical")]
    assert short_lived.stop() == 0


def test_restarting_everything_under_load_loses_no_job(site: Parts) -> None:
    """Both APIs and both workers, one after the other, while requests keep coming: no answer is a 5xx but 503."""
    apis = [site.start_api(RADII_DRAIN_SECONDS="0.5") for _ in range(2)]
    workers = [site.start_worker() for _ in range(2)]
    load = Load([client for _, client in apis])
    with load:
        for place, (part, _) in enumerate(apis):
            assert part.stop() == 0
            apis[place] = site.start_api(RADII_DRAIN_SECONDS="0.5")
            load.clients[place] = apis[place][1]
        for place, part in enumerate(workers):
            assert part.stop() == 0
            workers[place] = site.start_worker()
    assert len(load.jobs) > 20
    assert load.strange == []
    # One that a worker was given in the moment in which it was told to stop is swept up after a minute.
    ended = [final(apis[0][1], job_id, seconds=200) for job_id in load.jobs]
    assert {job.status for job in ended} == {JobStatus.SUCCEEDED}
    for part in (*workers, *(part for part, _ in apis)):
        assert part.stop() == 0


class Load:
    """Submits from two threads, as a load balancer would: to an API that says that it is ready."""

    def __init__(self, clients: list[httpx.Client]) -> None:
        self.clients = clients
        self.jobs: list[str] = []
        self.strange: list[str] = []
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._submit, args=(place,)) for place in range(2)]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _submit(self, first: int) -> None:
        number = 0
        while not self._stopped.wait(0.1):
            number += 1
            client = self.clients[(first + number) % 2]
            fields = {"sigma": str(0.01 + (2 * number + first) / 1e6), "adapt": "false"}
            try:
                if client.get("/readyz").status_code != 200:
                    continue
                answer = client.post("/certify", files={"image": grey(CALM)}, data=fields)
            except (httpx.TransportError, RuntimeError):
                continue  # it has stopped; nothing was accepted
            if answer.status_code == 202:
                self.jobs.append(answer.json()["id"])
            elif answer.status_code != 503 or "Retry-After" not in answer.headers:
                self.strange.append(answer.text)
