"""The process that takes jobs from the queue: a stock RQ worker whose jobs are relays to the engine."""

import argparse
from pathlib import Path

from rq import Queue, Worker
from rq.serializers import JSONSerializer

from contract import keys
from contract.limits import (
    JOB_MONITORING_INTERVAL,
    MAINTENANCE_INTERVAL,
    RESULT_TTL,
    WORKER_TTL,
)
from workers import lifeline, logs, relay, tasks
from workers.allowed_job import AllowedJob
from workers.connections import connect
from workers.settings import WorkerSettings

# Imported before the first fork, so that no relay pays for it.
PRELOADED = (tasks.certify, tasks.predict)


def make_worker(redis_url: str) -> Worker:
    """Returns a worker that listens to the one queue. Several queues would lose jobs in RQ."""
    connection = connect(redis_url, read_timeout=None)
    queue = Queue(keys.QUEUE, connection=connection, serializer=JSONSerializer, job_class=AllowedJob)
    return Worker(
        [queue],
        connection=connection,
        serializer=JSONSerializer,
        job_class=AllowedJob,
        default_result_ttl=RESULT_TTL,
        worker_ttl=WORKER_TTL,
        job_monitoring_interval=JOB_MONITORING_INTERVAL,
        maintenance_interval=MAINTENANCE_INTERVAL,
        log_job_description=False,
        work_horse_killed_handler=relay.count_killed,
    )


def main() -> None:
    """Takes jobs until told to stop; a first SIGTERM lets the running job finish."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--engine", type=Path, required=True)
    arguments = parser.parse_args()
    settings = WorkerSettings()
    logs.configure("queue worker", settings.log_format, settings.log_level)
    relay.use_engine(arguments.engine)
    worker = make_worker(settings.redis_url)
    lifeline.hold(worker.kill_horse)
    worker.work(with_scheduler=False, logging_level=_rq_level(settings))


def _rq_level(settings: WorkerSettings) -> str:
    """RQ's own lines repeat what the relays say; they are for those who look for more."""
    return {"debug": "INFO", "error": "ERROR"}.get(settings.log_level, "WARNING")


if __name__ == "__main__":
    main()
