"""What happens when things die, are cancelled, or are told nonsense."""

import os
from pathlib import Path

from contract import keys
from contract.choices import JobStatus
from contract.jobs import Job
from tests.support.processes import kill
from tests.support.service import Service
from tests.support.timings import RUDE
from tests.support.waiting import until

LONG = 2_000_000  # votes: minutes of sampling


def sampling(job: Job) -> bool:
    """Whether votes are being made."""
    return job.status is JobStatus.RUNNING and job.progress.completed > 0


def test_cancel_in_mid_job_stops_the_sampling(running: Service) -> None:
    """The engine is free for the next job long before the votes are made, and no certificate comes of them."""
    job = running.certify(wait=0, n=LONG)
    running.until(job.id, sampling)
    other = running.certify(wait=0, n=LONG)
    running.until(other.id, sampling)
    assert running.http.delete(f"/jobs/{job.id}").status_code == 202
    running.until(job.id, lambda job: job.status is JobStatus.CANCELLED)
    # Both workers were busy: a new job can only run on the one that was freed, and what the engine would still
    # write about the cancelled one was written before.
    third = running.certify(wait=0, n=200)
    running.until(third.id, lambda job: job.status is JobStatus.SUCCEEDED)
    assert running.job(other.id).status is JobStatus.RUNNING
    last = running.redis.xrevrange(keys.events(job.id), count=1)
    assert running.job(job.id).progress.completed < LONG / 2
    running.http.delete(f"/jobs/{other.id}")
    running.until(other.id, lambda job: job.status is JobStatus.CANCELLED)
    assert running.redis.xrevrange(keys.events(job.id), count=1) == last
    assert not running.redis.exists(keys.certificate(job.id))
    assert running.http.delete(f"/jobs/{job.id}").status_code == 200


def test_a_queued_job_can_be_cancelled(running: Service) -> None:
    """It never starts."""
    busy = [running.certify(wait=0, n=LONG) for _ in range(2)]
    for job in busy:
        running.until(job.id, sampling)
    queued = running.certify(wait=0, n=500)
    assert running.job(queued.id).status is JobStatus.QUEUED
    running.http.delete(f"/jobs/{queued.id}")
    assert running.job(queued.id).status is JobStatus.CANCELLED
    for job in busy:
        running.http.delete(f"/jobs/{job.id}")
        running.final(job.id)
    assert running.job(queued.id).started_at is None


def test_a_finished_job_cannot_be_cancelled(running: Service) -> None:
    """The answer stands."""
    job = running.certify(n=200)
    response = running.http.delete(f"/jobs/{job.id}")
    assert response.status_code == 409
    assert response.json()["code"] == "job_finished"
    assert running.job(job.id).status is JobStatus.SUCCEEDED


def test_killing_an_engine_loses_no_job(running: Service) -> None:
    """Kill -9 in mid-job: that job is retried and succeeds, the other worker's job does not notice."""
    running.wait_for_engines(2)
    jobs = [running.certify(wait=0, n=20_000) for _ in range(2)]
    for job in jobs:
        running.until(job.id, sampling)
    alive = running.living_engines()
    assert len(alive) == 2
    kill(alive[0].pid)
    final = [running.final(job.id) for job in jobs]
    assert [job.status for job in final] == [JobStatus.SUCCEEDED] * 2
    assert sorted(job.attempt for job in final) == [1, 2]


def test_engines_let_the_api_go_first(running: Service) -> None:
    """On a machine that they share, somebody waits for the API."""
    polite = min(19, os.nice(0) + int(RUDE["RADII_NICENESS"]))
    alive = [engine.pid for engine in running.living_engines()]
    assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in alive} == {polite}


def test_killing_every_engine_loses_no_job(running: Service) -> None:
    """The job waits until one is there again."""
    job = running.certify(wait=0, n=20_000)
    running.until(job.id, sampling)
    for engine in running.living_engines():
        kill(engine.pid)
    final = running.final(job.id)
    assert final.status is JobStatus.SUCCEEDED
    assert final.attempt == 2


def test_killing_the_queue_workers_loses_no_job(running: Service) -> None:
    """The relay brings the running job to its end; other queue workers take the next one.

    The store may hand the next one to a worker in the moment of its death. It is then put back after `RADII_TIMING__TAKEN_SECONDS`.
    """
    from rq import Worker

    job = running.certify(wait=0, n=20_000)
    running.until(job.id, sampling)
    for worker in Worker.all(connection=running.redis):
        kill(worker.pid)
    queued = running.certify(wait=0, n=200)
    assert running.final(job.id).status is JobStatus.SUCCEEDED
    final = running.final(queued.id)
    assert final.status is JobStatus.SUCCEEDED


def test_a_payload_that_is_no_task_fails_alone(running: Service) -> None:
    """The engine outlives whatever is in the queue."""
    from rq import Queue
    from rq.serializers import JSONSerializer

    before = sorted(engine.pid for engine in running.living_engines())
    queue = Queue(keys.QUEUE, connection=running.redis, serializer=JSONSerializer)
    nonsense: list[object] = [5, None, {}, {"version": 99}, {"version": 1, "job_id": 7}]
    jobs = [queue.enqueue(keys.CERTIFY_TASK, args=[payload], failure_ttl=60) for payload in nonsense]
    until(lambda: all(job.get_status(refresh=True) in ("failed", "finished") for job in jobs))
    assert {job.get_status() for job in jobs} == {"failed"}
    assert running.certify(n=200).status is JobStatus.SUCCEEDED
    assert sorted(engine.pid for engine in running.living_engines()) == before


def test_a_job_that_names_another_function_is_refused(running: Service, tmp_path: Path) -> None:
    """Whoever can write to Redis still cannot run code of their choice."""
    from rq import Queue
    from rq.serializers import JSONSerializer

    queue = Queue(keys.QUEUE, connection=running.redis, serializer=JSONSerializer)
    marker = tmp_path / "must-not-exist"
    job = queue.enqueue(
        "subprocess.check_output", args=[["touch", str(marker)]], result_ttl=60, failure_ttl=60
    )
    until(lambda: job.get_status(refresh=True) in ("failed", "finished"))
    assert job.get_status() == "failed"
    assert not marker.exists()
    assert running.certify(n=200).status is JobStatus.SUCCEEDED


def test_a_replaced_model_fails_the_job_with_a_reason(running: Service) -> None:
    """A job is about the model that was there when it was asked for."""
    from rq import Queue
    from rq.serializers import JSONSerializer

    from contract.choices import JobKind, ProblemCode
    from contract.jobs import Submission
    from tests.support.tasks import certify_task

    done = running.certify(n=200)
    assert done.certificate is not None
    task = certify_task(
        job_id="f" * 32,
        model=done.model,
        model_digest="0" * 64,
        image_digest=done.certificate.image_digest,
        n=100,
        n0=10,
    )
    submission = Submission(
        job_id=task.job_id, kind=JobKind.CERTIFY, model=done.model, created_at=done.created_at
    )
    running.redis.set(keys.submission(task.job_id), submission.model_dump_json(), ex=600)
    queue = Queue(keys.QUEUE, connection=running.redis, serializer=JSONSerializer)
    queue.enqueue(keys.CERTIFY_TASK, args=[task.model_dump(mode="json")], job_id=task.job_id, failure_ttl=60)
    job = running.final(task.job_id)
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert job.error.code is ProblemCode.MODEL_CHANGED
    assert job.attempt == 1
