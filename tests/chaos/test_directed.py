"""One fault at a time, at the very moment at which it hurts.

What `test_chaos` hits by chance only. Rows of the faults that are promised to be survived, and where they are shown:

=====================================  ======================================================================
engine killed in mid-job               `test_a_killed_engine_is_made_up_for_by_the_other`, `tests.end_to_end.test_faults`
whole worker killed                    `test_lost_and_paused_workers`
killed between commit and success      `test_killed_after_the_commit`
killed before a taken job is begun     `test_killed_with_a_job_in_its_hands`
paused for longer than anybody waits   `test_lost_and_paused_workers`
store stopped, killed                  `test_what_was_accepted_survives_the_store`, `test_chaos`
torn end of the store's file           `test_a_torn_file_is_a_prefix`, `test_chaos`
store full                             `test_a_full_store_refuses_and_recovers`, `test_chaos`
store may evict                        `tests.service.jobs.test_durability`, `test_chaos`
store's disk full                      `tests.radii.test_embedded`
link cut, slow, silent                 `test_workers_outlast_an_outage`, `test_chaos`
the same request twice                 `tests.end_to_end.test_memory`
a job that kills whoever takes it      `test_a_poisonous_job_ends_and_harms_no_other`
forbidden or damaged jobs              `tests.workers.process.rq.test_reaper`, `tests.end_to_end.test_faults`, `test_chaos`
model replaced                         `tests.end_to_end.test_faults`
model damaged                          `test_a_damaged_model_is_not_served_and_others_are`
cancelled at any moment                `tests.service.routes.test_jobs`, `test_chaos`
keys that never end                    `test_chaos`
payload of another version             `tests.end_to_end.test_faults`
two API processes                      `test_chaos`
=====================================  ======================================================================
"""

import json
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract import keys
from contract.jobs import Job
from contract.limits import MAX_SAMPLES
from contract.regions import StoredRegion
from tests.chaos.clients import DAMAGED, MODEL, POISON
from tests.chaos.cluster import Cluster
from tests.support import service
from tests.support.command_line import radii
from tests.support.pictures import grey_level
from tests.support.processes import kill
from tests.support.proxy import Link
from tests.support.service import is_ready
from tests.support.waiting import until

LONG = 400_000
"""Votes: seconds of sampling at least, on any machine."""


@pytest.fixture(autouse=True)
def calm(cluster: Cluster) -> None:
    """Both workers are up before a test counts on them."""
    until(lambda: all(map(is_ready, cluster.urls)), "the stack did not recover")
    until(lambda: len(cluster.engines()) == 2, "an engine did not come back")
    assert cluster.failures == []


def submit(cluster: Cluster, level: int = 100, wait: int = 0, **fields: object) -> Job:
    asked: dict[str, object] = {"model": MODEL, "sigma": 1.0, "n": 200, "memory": "off", **fields}
    with httpx.Client(base_url=cluster.urls[0], timeout=60) as http:
        job = service.submit(http, grey_level(level), wait, **asked)
        return service.final(http, job.id) if wait else job


def read(cluster: Cluster, job: Job) -> Job:
    with httpx.Client(base_url=cluster.urls[1], timeout=30, verify=False) as http:
        return service.read(http, job.id)


def reach(cluster: Cluster, job: Job, reached: Callable[[Job], bool]) -> Job:
    until(lambda: reached(read(cluster, job)), lambda: f"not reached: {read(cluster, job)}")
    return read(cluster, job)


def sampling(job: Job) -> bool:
    return job.status == "running" and job.progress.completed > 0


def has_kept_votes(cluster: Cluster, job: Job) -> bool:
    """Whether an engine has recorded votes of the job, which another attempt goes on from."""
    stored: Any = cluster.redis.get(keys.votes(job.id))
    return stored is not None and any(kept["votes"] for kept in json.loads(stored)["noises"].values())


def final(job: Job) -> bool:
    return job.status.final


def busy(cluster: Cluster) -> int:
    """The worker that has a relay."""
    return next(number for number in range(2) if cluster.relay(number))


def log_of(cluster: Cluster, memory: str) -> list[str]:
    """The jobs whose regions a memory holds."""
    (name,) = cluster.redis.scan_iter(keys.memory_log("*", memory))
    records: Any = cluster.redis.lrange(name, 0, -1)
    return [StoredRegion.model_validate_json(record).certificate_id for record in records]


def test_a_killed_engine_is_made_up_for_by_the_other(cluster: Cluster) -> None:
    """The other worker takes the job over, without waiting for a new engine, and goes on from the votes kept."""
    job = submit(cluster, n=MAX_SAMPLES, max_seconds=8)  # as long on a quick machine as on a busy one
    until(lambda: has_kept_votes(cluster, job), "no votes were kept")
    number = busy(cluster)
    kill(cluster.engine(number))
    reach(cluster, job, lambda job: sampling(job) and job.attempt == 2)
    assert busy(cluster) != number
    done = reach(cluster, job, final)
    assert done.status == "succeeded"
    assert done.certificate is not None
    (segment,) = done.certificate.noise[0].segments
    assert done.certificate.compute.samples < segment.n


def test_killed_after_the_commit(cluster: Cluster) -> None:
    """The answer is there and RQ does not know: the next attempt finds it, and nothing is committed twice."""
    job = submit(cluster, n=LONG, memory="after-commit")
    reach(cluster, job, sampling)
    number = busy(cluster)
    relay = cluster.relay(number)
    kill(relay, signal.SIGSTOP)  # it will not hear that the engine is done
    until(lambda: cluster.redis.exists(keys.certificate(job.id)), "no commit")
    told = read(cluster, job)
    assert told.status == "succeeded"
    kill(relay)
    until(lambda: cluster.redis.hget(f"rq:job:{job.id}", "status") == b"finished", "RQ never heard of it")
    assert cluster.redis.get(keys.attempt(job.id)) == b"2"
    assert read(cluster, job).certificate == told.certificate
    assert log_of(cluster, "after-commit") == [job.id]


def test_killed_with_a_job_in_its_hands(cluster: Cluster) -> None:
    """Redis gives a job to a worker that is dead before it can begin it: nobody else knows of the job."""
    until(lambda: cluster.redis.info("clients")["blocked_clients"] == 2, "the workers do not wait for jobs")
    workers = [cluster.queue_worker(number) for number in range(2)]
    for worker in workers:
        kill(worker, signal.SIGSTOP)
    job = submit(cluster)
    until(lambda: cluster.redis.llen(f"rq:queue:{keys.QUEUE}:intermediate") == 1, "nobody took it")
    for worker in workers:
        kill(worker)
    done = reach(cluster, job, final)
    assert (done.status, done.attempt) == ("succeeded", 2)


def test_lost_and_paused_workers(cluster: Cluster) -> None:
    """One worker loses its power, the other is paused for longer than anybody waits, and then goes on.

    Both jobs are done by the worker that is started in place of the first; what the paused one has to say then
    counts for nothing.
    """
    jobs = [submit(cluster, level, n=LONG, memory="paused") for level in (80, 160)]
    for job in jobs:
        reach(cluster, job, sampling)
    paused = [cluster.supervisor(0), cluster.queue_worker(0), cluster.relay(0), cluster.engine(0)]
    killed = [cluster.supervisor(1), cluster.queue_worker(1), cluster.relay(1), cluster.engine(1)]
    for pid in paused:
        kill(pid, signal.SIGSTOP)
    for pid in killed:
        kill(pid)
    before = [reach(cluster, job, final) for job in jobs]
    assert {job.status for job in before} == {"succeeded"}
    assert {job.attempt for job in before} == {2}
    regions = log_of(cluster, "paused")
    for pid in paused:
        kill(pid, signal.SIGCONT)
    until(lambda: cluster.relay(0) is None, "the paused relay never ended")
    assert [read(cluster, job) for job in jobs] == before
    assert log_of(cluster, "paused") == regions
    assert sorted(regions) == sorted(job.id for job in jobs if read(cluster, job).certificate)


def test_what_was_accepted_survives_the_store(cluster: Cluster) -> None:
    """Kill -9 in the instant of the last answer."""
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda level: submit(cluster, level), range(40)))
        kill(cluster.server())
    cluster.wait_for_store()
    until(lambda: is_ready(cluster.urls[1]), "not ready")
    ended = [reach(cluster, job, final) for job in jobs]
    assert {job.status for job in ended} == {"succeeded"}


def test_a_torn_file_is_a_prefix(cluster: Cluster) -> None:
    """A disk that lost the end of the file: the last write is gone as a whole, and the memory is sound."""
    jobs = [submit(cluster, level, 30, memory="torn") for level in (60, 70, 80)]
    assert {job.status for job in jobs} == {"succeeded"}
    server = cluster.server()
    with cluster.hold_store():
        kill(server)
        until(lambda: not Path(f"/proc/{server}").exists(), "the store did not end")
        cluster.shorten_log(7)
    cluster.wait_for_store()
    until(lambda: is_ready(cluster.urls[0]), "not ready")
    checked = radii("memory", "check", "--redis-url", cluster.direct_url)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert submit(cluster, 90, 30, memory="torn").status == "succeeded"


def test_a_full_store_refuses_and_recovers(cluster: Cluster) -> None:
    """503 and when to ask again; what is there can be read, and there is nothing to be done when there is room."""
    kept = submit(cluster, wait=30)

    def post() -> httpx.Response:
        picture, fields = {"image": grey_level(1)}, {"model": MODEL, "sigma": "1"}
        return httpx.post(f"{cluster.urls[0]}/certify", files=picture, data=fields, timeout=60)

    cluster.redis.config_set("maxmemory", "1mb")
    until(lambda: post().status_code != 202)  # the API has looked again how much memory there is
    response = post()
    assert (response.status_code, response.json()["code"]) == (503, "store_unavailable")
    assert int(response.headers["Retry-After"]) > 0
    assert read(cluster, kept) == kept
    cluster.redis.config_set("maxmemory", "0")
    until(lambda: post().status_code == 202)
    assert submit(cluster, wait=30).status == "succeeded"


def test_workers_outlast_an_outage(cluster: Cluster) -> None:
    """Those that are started while the store is away wait for it; the engines keep their models meanwhile."""
    engines = [cluster.engine(number) for number in range(2)]
    waited = cluster.said("waiting for the store")
    cluster.proxy.set(Link.CUT)
    for number in range(2):
        kill(cluster.queue_worker(number))
    until(lambda: cluster.said("waiting for the store") == waited + 2, "the queue workers do not wait")
    assert httpx.get(f"{cluster.urls[0]}/livez").status_code == 200
    assert httpx.get(f"{cluster.urls[0]}/readyz", timeout=20).status_code == 503
    cluster.proxy.set(Link.UP)
    until(lambda: is_ready(cluster.urls[0]), "not ready")
    assert submit(cluster, wait=30).status == "succeeded"
    assert engines == [cluster.engine(number) for number in range(2)]


def test_a_poisonous_job_ends_and_harms_no_other(cluster: Cluster) -> None:
    """Each attempt costs an engine; then the job has failed, and the next one is done."""
    ended = reach(cluster, submit(cluster, 0, model=POISON), final)
    assert (ended.status, ended.error and ended.error.code, ended.attempt) == ("failed", "worker_lost", 3)
    assert submit(cluster, wait=30).status == "succeeded"
    assert submit(cluster, 100, 30, model=POISON).status == "succeeded"
    assert cluster.failures == []


def test_a_damaged_model_is_not_served_and_others_are(cluster: Cluster) -> None:
    """Its weights are not those that its card speaks of."""
    listed = httpx.get(f"{cluster.urls[0]}/models").json()["models"]
    assert {MODEL, POISON} <= {model["name"] for model in listed if model["ready"]}
    assert DAMAGED not in {model["name"] for model in listed if model["ready"]}
    response = httpx.post(
        f"{cluster.urls[0]}/certify", files={"image": grey_level(9)}, data={"model": DAMAGED, "sigma": "1"}
    )
    assert response.status_code == 422
