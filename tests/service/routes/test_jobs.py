"""What a job is, through everything that can become of it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from redis import Redis
from rq import Worker
from rq.job import Job as QueuedJob
from rq.job import JobStatus as QueueStatus
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException

from contract import keys
from contract.certificates import Certificate
from contract.choices import ProblemCode
from contract.limits import RETRIES
from contract.metrics import JOBS
from contract.problems import problem
from tests.service.examples import make_prediction
from tests.support.waiting import until

Submit = Callable[..., str]
Work = Callable[..., None]
Make = Callable[..., Certificate]
UNKNOWN = "f" * 32


def fetch(redis: Redis, job_id: str) -> QueuedJob:
    return QueuedJob.fetch(job_id, connection=redis, serializer=JSONSerializer)


def store(redis: Redis, certificate: Certificate) -> None:
    redis.set(keys.certificate(certificate.id), certificate.model_dump_json())


def count_cancelled(redis: Redis) -> float:
    """What /metrics says of the jobs that clients have cancelled."""
    return float(redis.hget(keys.METRICS, JOBS.field("certify", "toy", "abandoned", "")) or 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("job_id", [UNKNOWN, "x", "f" * 31, "F" * 32, "%2e%2e", "%00", "a:b"])
@pytest.mark.parametrize(("method", "suffix"), [("GET", ""), ("DELETE", ""), ("GET", "/events")])
def test_unknown_job(api: httpx.Client, job_id: str, method: str, suffix: str) -> None:
    response = api.request(method, f"/jobs/{job_id}{suffix}")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_succeeded(api: httpx.Client, redis: Redis, submit: Submit, work: Work, certificate: Make) -> None:
    """Running while its worker works, then the certificate is part of it."""
    job_id = submit()
    seen: list[dict[str, Any]] = []

    def task(payload: dict[str, Any]) -> None:
        seen.append(api.get(f"/jobs/{payload['job_id']}").json())
        store(redis, certificate(payload["job_id"]))

    work(task)
    job = api.get(f"/jobs/{job_id}").json()
    assert (seen[0]["status"], seen[0]["finished_at"]) == ("running", None)
    assert seen[0]["created_at"] <= seen[0]["started_at"]
    assert job["status"] == "succeeded"
    assert job["certificate"] == certificate(job_id).model_dump(mode="json") | {
        "created_at": job["certificate"]["created_at"]
    }
    assert job["links"]["certificate"] == f"/certificates/{job_id}"
    assert (job["progress"]["stage"], job["progress"]["completed"]) == ("done", 10_100)
    assert job["progress"]["radius_so_far"] == job["certificate"]["radius"]["l2"]
    assert (job["error"], job["prediction"], job["attempt"]) == (None, None, 1)
    assert job["finished_at"] == job["certificate"]["created_at"]


@pytest.mark.parametrize(("noise", "norm"), [("uniform", "l1"), ("hybrid", None)])
def test_radius_of_a_finished_job_is_in_the_norm_of_its_noise(
    api: httpx.Client, redis: Redis, submit: Submit, certificate: Make, noise: str, norm: str | None
) -> None:
    """A hybrid has two norms, and so none to tell."""
    job_id = submit()
    store(redis, certificate(job_id, noise=noise))
    job = api.get(f"/jobs/{job_id}").json()
    assert job["progress"]["radius_so_far"] == (norm and job["certificate"]["radius"][norm])


def test_prediction_succeeds(api: httpx.Client, redis: Redis, submit: Submit, certificate: Make) -> None:
    """It has no certificate, and needs none."""
    job_id = submit()
    redis.set(keys.prediction(job_id), make_prediction(certificate(job_id)).model_dump_json())
    job = api.get(f"/jobs/{job_id}").json()
    assert (job["status"], job["prediction"]["id"], job["certificate"]) == ("succeeded", job_id, None)
    assert (job["progress"]["radius_so_far"], job["links"]["certificate"]) == (None, None)


def test_answer_outlives_the_queue(
    api: httpx.Client, redis: Redis, submit: Submit, certificate: Make
) -> None:
    """RQ forgets a job long before its certificate goes."""
    job_id = submit()
    store(redis, certificate(job_id))
    fetch(redis, job_id).delete()
    redis.delete(keys.events(job_id))
    job = api.get(f"/jobs/{job_id}").json()
    assert (job["status"], job["progress"]["stage"]) == ("succeeded", "done")


def test_answer_wins_over_a_failed_record(
    api: httpx.Client, redis: Redis, submit: Submit, work: Work, certificate: Make
) -> None:
    """The worker was lost after the commit, every time: the answer is there all the same."""

    def task(payload: dict[str, Any]) -> None:
        store(redis, certificate(payload["job_id"]))
        raise RuntimeError

    job_id = submit()
    work(task)
    assert fetch(redis, job_id).get_status() is QueueStatus.FAILED
    assert api.get(f"/jobs/{job_id}").json()["status"] == "succeeded"


def test_lost_worker_is_tried_again(api: httpx.Client, submit: Submit, work: Work) -> None:
    """Each attempt is counted; after the last the job has failed, without a word of the exception."""
    attempts: list[int] = []

    def task(payload: dict[str, Any]) -> None:
        attempts.append(api.get(f"/jobs/{payload['job_id']}").json()["attempt"])
        raise RuntimeError("secret")

    job_id = submit()
    work(task)
    response = api.get(f"/jobs/{job_id}")
    job = response.json()
    assert attempts == [1, 2, 3]
    assert (job["status"], job["error"]["code"], job["attempt"]) == ("failed", "worker_lost", RETRIES + 1)
    assert job["finished_at"] is not None
    assert "secret" not in response.text


def test_stored_problem_is_the_error(api: httpx.Client, redis: Redis, submit: Submit, work: Work) -> None:
    """What the worker says of a failure, also when RQ has forgotten it."""
    told = problem(ProblemCode.OUT_OF_MEMORY, "too little memory for a batch of one")

    def task(payload: dict[str, Any]) -> None:
        redis.set(keys.problem(payload["job_id"]), told.model_dump_json())

    job_id = submit()
    work(task)
    for _ in range(2):
        job = api.get(f"/jobs/{job_id}").json()
        assert (job["status"], job["error"]) == ("failed", told.model_dump(mode="json"))
        fetch(redis, job_id).delete() if job["started_at"] else None


def test_end_without_an_answer_is_our_fault(api: httpx.Client, submit: Submit, work: Work) -> None:
    job_id = submit()
    work(lambda payload: None)
    job = api.get(f"/jobs/{job_id}").json()
    assert (job["status"], job["error"]["code"]) == ("failed", "internal_error")


def test_timeout(api: httpx.Client, submit: Submit, work: Work) -> None:
    """RQ's own word for it is in the record of the attempt."""

    def task(payload: dict[str, Any]) -> None:
        raise JobTimeoutException("too long")

    job_id = submit()
    work(task)
    assert api.get(f"/jobs/{job_id}").json()["error"]["code"] == "timeout"


def test_expired(api: httpx.Client, redis: Redis, submit: Submit) -> None:
    """No worker took it in time, and RQ dropped it."""
    job_id = submit()
    fetch(redis, job_id).delete()
    job = api.get(f"/jobs/{job_id}").json()
    assert (job["status"], job["error"], job["certificate"]) == ("expired", None, None)


def test_progress_is_the_last_event(
    api: httpx.Client, redis: Redis, submit: Submit, progress: Callable[..., str]
) -> None:
    job_id = submit()
    fetch(redis, job_id).set_status(QueueStatus.STARTED)
    progress(job_id, stage="loading")
    progress(job_id, stage="sampling", completed=50, total=100, radius_so_far=0.25)
    assert api.get(f"/jobs/{job_id}").json()["progress"] == {
        "stage": "sampling",
        "completed": 50,
        "total": 100,
        "radius_so_far": 0.25,
    }


def test_long_poll_returns_when_the_job_ends(
    api: httpx.Client, redis: Redis, submit: Submit, certificate: Make, progress: Callable[..., str]
) -> None:
    """At once, not at the next look."""
    job_id = submit()

    def commit() -> None:
        progress(job_id, stage="sampling", completed=1, total=2)
        store(redis, certificate(job_id))
        progress(job_id, stage="done", completed=2, total=2)

    timer = threading.Timer(0.5, commit)
    timer.start()
    response = api.get(f"/jobs/{job_id}", params={"wait": 10})
    timer.join()
    assert response.json()["status"] == "succeeded"
    assert 0.4 < response.elapsed.total_seconds() < 9  # of the 10 that it asked for


def test_long_poll_notices_an_end_without_an_event(api: httpx.Client, redis: Redis, submit: Submit) -> None:
    """A worker that was killed writes none."""
    job_id = submit()
    timer = threading.Timer(0.3, lambda: fetch(redis, job_id).set_status(QueueStatus.FAILED))
    timer.start()
    response = api.get(f"/jobs/{job_id}", params={"wait": 10})
    timer.join()
    assert response.json()["status"] == "failed"
    assert response.elapsed.total_seconds() < 9  # of the 10 that it asked for


def test_long_poll_ends_when_the_time_is_up(api: httpx.Client, submit: Submit) -> None:
    response = api.get(f"/jobs/{submit()}", params={"wait": 1})
    assert response.json()["status"] == "queued"
    assert response.elapsed.total_seconds() > 0.9


@pytest.mark.parametrize("wait", ["-1", "31", "soon"])
def test_wait_is_bounded(api: httpx.Client, submit: Submit, wait: str) -> None:
    response = api.get(f"/jobs/{submit()}", params={"wait": wait})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_field")
    assert response.json()["errors"][0]["pointer"] == "/wait"


def test_cancel_queued(api: httpx.Client, redis: Redis, submit: Submit, work: Work) -> None:
    """It is cancelled at once, never runs, and cancelling it again says the same."""
    job_id = submit()
    first = api.delete(f"/jobs/{job_id}")
    assert (first.status_code, first.json()["status"]) == (200, "cancelled")
    assert first.json()["finished_at"] is not None
    ran: list[object] = []
    work(ran.append)
    assert not ran
    again = api.delete(f"/jobs/{job_id}")
    assert (again.status_code, again.json()) == (200, first.json())
    assert count_cancelled(redis) == 1
    fetch(redis, job_id).delete()
    assert api.get(f"/jobs/{job_id}").json()["status"] == "cancelled"


def test_cancel_running(api: httpx.Client, redis: Redis, submit: Submit, work: Work) -> None:
    """202 while it is being stopped, and counted once; the flag keeps what the worker still does from counting."""
    seen: list[httpx.Response] = []

    def task(payload: dict[str, Any]) -> None:
        path = f"/jobs/{payload['job_id']}"
        seen.extend([api.delete(path), api.delete(path), api.get(path)])

    job_id = submit()
    work(task)
    assert [response.status_code for response in seen] == [202, 202, 200]
    assert {response.json()["status"] for response in seen} == {"running"}
    assert redis.exists(keys.cancel(job_id))
    assert count_cancelled(redis) == 1
    assert api.get(f"/jobs/{job_id}").json()["status"] == "cancelled"


def test_cancel_kills_the_process_that_works(api: httpx.Client, submit: Submit, work: Work) -> None:
    """With RQ's forking worker: it is free for the next job at once."""
    job_id = submit()

    def cancel() -> None:
        until(lambda: api.get(f"/jobs/{job_id}").json()["status"] == "running")
        api.delete(f"/jobs/{job_id}")

    with ThreadPoolExecutor() as pool:
        cancelled = pool.submit(cancel)
        work(lambda payload: time.sleep(600), Worker)  # longer than this test may take
        cancelled.result()
    assert api.get(f"/jobs/{job_id}").json()["status"] == "cancelled"


def test_cancelled_between_pop_and_start(api: httpx.Client, redis: Redis, submit: Submit) -> None:
    """RQ overwrites its own mark then; who was told that it is cancelled is told nothing else."""
    job_id = submit()
    assert api.delete(f"/jobs/{job_id}").json()["status"] == "cancelled"
    job = fetch(redis, job_id)
    for status in (QueueStatus.STARTED, QueueStatus.QUEUED, QueueStatus.STARTED, QueueStatus.FAILED):
        job.set_status(status)
        assert api.get(f"/jobs/{job_id}").json()["status"] == "cancelled"
        assert api.delete(f"/jobs/{job_id}").status_code == 200


def test_cancel_taken(api: httpx.Client, redis: Redis, submit: Submit) -> None:
    """A worker has it and has not begun; RQ's own way fails on what that worker, or its loss, left."""
    job_id = submit()
    redis.lmove(f"rq:queue:{keys.QUEUE}", f"rq:queue:{keys.QUEUE}:intermediate")
    redis.zadd(f"rq:executions:{job_id}", {"given-up": time.time() + 60})
    response = api.delete(f"/jobs/{job_id}")
    assert (response.status_code, response.json()["status"]) == (200, "cancelled")
    assert fetch(redis, job_id).get_status() is QueueStatus.QUEUED  # it is not ours to change
    assert redis.llen(f"rq:queue:{keys.QUEUE}:intermediate") == 1


def test_cancelled_while_it_ran_and_tried_again(api: httpx.Client, redis: Redis, submit: Submit) -> None:
    """It stops with the attempt that it was cancelled in; a later one makes it run no more."""
    job_id = submit()
    job = fetch(redis, job_id)
    job.set_status(QueueStatus.STARTED)
    assert api.delete(f"/jobs/{job_id}").status_code == 202
    job.set_status(QueueStatus.QUEUED)
    assert api.get(f"/jobs/{job_id}").json()["status"] == "cancelled"
    job.set_status(QueueStatus.STARTED)
    assert api.get(f"/jobs/{job_id}").json()["status"] == "cancelled"


def test_failed_stays_failed_whatever_the_queue_says(
    api: httpx.Client, redis: Redis, submit: Submit, work: Work
) -> None:
    """A worker that was given up for lost comes back, and RQ puts the job on the queue once more."""

    def task(payload: dict[str, Any]) -> None:
        raise RuntimeError

    job_id = submit()
    work(task)
    before = api.get(f"/jobs/{job_id}").json()
    assert (before["status"], before["error"]["code"]) == ("failed", "worker_lost")
    for status in (QueueStatus.QUEUED, QueueStatus.STARTED, QueueStatus.FINISHED):
        fetch(redis, job_id).set_status(status)
        after = api.get(f"/jobs/{job_id}").json()
        assert (after["status"], after["error"]) == ("failed", before["error"])
    assert redis.ttl(keys.problem(job_id)) > 0


@pytest.mark.parametrize("damage", [{"status": "bogus"}, {"created_at": "now"}, {"data": "", "timeout": "x"}])
def test_a_damaged_record_is_no_error_of_ours(
    api: httpx.Client, redis: Redis, submit: Submit, damage: dict[str, str]
) -> None:
    """Whoever can write to Redis can write nonsense; a job without a record that can be read has none."""
    job_id = submit()
    redis.hset(fetch(redis, job_id).key, mapping=damage)  # type: ignore[arg-type]
    response = api.get(f"/jobs/{job_id}")
    assert (response.status_code, response.json()["status"]) == (200, "expired")


def test_cancel_finished(
    api: httpx.Client, redis: Redis, submit: Submit, certificate: Make, work: Work
) -> None:
    """Too late, and it leaves no trace."""
    succeeded, failed = submit(), submit()
    work(lambda payload: None)
    store(redis, certificate(succeeded))
    for job_id, status in ((succeeded, "succeeded"), (failed, "failed")):
        response = api.delete(f"/jobs/{job_id}")
        assert (response.status_code, response.json()["code"]) == (409, "job_finished")
        assert not redis.exists(keys.cancel(job_id))
        assert api.get(f"/jobs/{job_id}").json()["status"] == status


def test_cancel_expired(api: httpx.Client, redis: Redis, submit: Submit) -> None:
    job_id = submit()
    fetch(redis, job_id).delete()
    response = api.delete(f"/jobs/{job_id}")
    assert (response.status_code, response.json()["status"]) == (200, "expired")
