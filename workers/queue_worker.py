"""The process that takes jobs from the queue: a stock RQ worker whose jobs are relays to the engine."""

import argparse
import logging
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
from workers import lifeline, relay, tasks
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
    )


def main() -> None:
    """Takes jobs until told to stop; a first SIGTERM lets the running job finish."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--engine", type=Path, required=True)
    arguments = parser.parse_args()
    logging.getLogger("rq.worker").setLevel(logging.WARNING)
    relay.use_engine(arguments.engine)
    worker = make_worker(WorkerSettings().redis_url)
    lifeline.hold(worker.kill_horse)
    worker.work(with_scheduler=False, logging_level="WARNING")


if __name__ == "__main__":
    main()
