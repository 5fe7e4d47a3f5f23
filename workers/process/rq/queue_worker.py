"""The process that takes jobs from the queue: an RQ worker whose jobs are relays to the engine."""

import argparse
import os
from pathlib import Path
from types import FrameType
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Worker
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import now

from contract.limits import RESULT_TTL
from contract.logs import configure_logs
from workers import tasks
from workers.failures import Abandoned, EngineLost, JobFailure
from workers.process.connections import connect, wait_until_writable
from workers.process.engine_socket import EngineClient
from workers.process.liveness.lifeline import end_with_parent
from workers.process.rq import attempt
from workers.process.rq.allowed_job import AllowedJob, open_queue
from workers.settings import WorkerSettings, WorkerTiming

log = structlog.get_logger()

# Imported before the first fork, so that no relay pays for it.
PRELOADED = (tasks.certify, tasks.predict)


class QueueWorker(Worker):
    """RQ's worker with three differences: `workers.process.rq.reaper` searches for lost jobs in its place, an
    outage of Redis does not make it leave a running job, and it knows whether it was asked to stop.
    """

    asked_to_stop = False

    def clean_registries(self) -> None:
        """Only notes the time, by which RQ decides when to call it again."""
        self.last_cleaned_at = now()  # type: ignore[assignment]  # RQ declares it None

    def maintain_heartbeats(self, job: Job) -> None:
        """Reports that the job is running, if Redis answers."""
        try:
            super().maintain_heartbeats(job)
        except RedisError as error:
            log.warning("running job not reported", job=job.id, error=type(error).__name__)

    def set_current_job_working_time(self, current_job_working_time: float, pipeline: Any = None) -> None:
        """Keeps the time, and writes it if Redis answers."""
        try:
            super().set_current_job_working_time(current_job_working_time, pipeline)
        except RedisError as error:
            log.warning("working time not written", error=type(error).__name__)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Ends after the running job, if there is one."""
        self.asked_to_stop = True
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]  # RQ's is not typed


def make_worker(connection: Redis, timing: WorkerTiming) -> QueueWorker:
    """Returns a worker for the queue."""
    return QueueWorker(
        [open_queue(connection)],
        connection=connection,
        serializer=JSONSerializer,
        job_class=AllowedJob,
        default_result_ttl=RESULT_TTL,
        worker_ttl=timing.worker_ttl_seconds,
        job_monitoring_interval=timing.job_monitoring_seconds,
        log_job_description=False,
        work_horse_killed_handler=attempt.count_killed,
    )


def main() -> None:
    """Takes jobs until a signal stops it; a first SIGTERM lets the running job finish.

    It leaves with ``EX_TEMPFAIL`` when Redis was lost, which is no fault of its own.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--socket", type=Path, required=True)
    arguments = parser.parse_args()
    settings = WorkerSettings()
    configure_logs(
        "queue worker",
        settings.log_format,
        settings.log_level,
        # RQ logs a traceback for each of them; the relay has said why in one line.
        already_logged=(JobFailure, EngineLost, Abandoned),
    )
    attempt.use_engine(EngineClient(arguments.socket, settings.timing.engine_boot_seconds))
    connection = connect(settings.redis_url, read_timeout=None)
    worker: QueueWorker | None = None
    end_with_parent(lambda: worker.kill_horse() if worker else None)
    wait_until_writable(connection)
    try:
        worker = make_worker(connection, settings.timing)
        worker.work(with_scheduler=False, logging_level=_rq_level(settings))
    except RedisError as error:
        log.warning("store lost", error=type(error).__name__)
    raise SystemExit(0 if worker and worker.asked_to_stop else os.EX_TEMPFAIL)


def _rq_level(settings: WorkerSettings) -> str:
    """RQ's lines repeat what the relays log, so they come with the level below."""
    return {"debug": "INFO", "error": "ERROR"}.get(settings.log_level, "WARNING")


if __name__ == "__main__":
    main()
