"""The one process of a worker that imports torch: keeps models resident and answers relays, one at a time."""

import argparse
import json
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

import structlog
import torch
from redis.exceptions import RedisError

from contract import keys
from contract.choices import ProblemCode
from contract.logs import configure_logs
from contract.metrics import COMPUTE_SECONDS, JOBS, QUEUE_SECONDS
from contract.models import first_choice
from contract.problems import problem
from models.backends.device_errors import is_device_lost
from workers import tracing
from workers.failures import Abandoned, JobFailure, Superseded
from workers.job.pipeline import Pipeline
from workers.job.progress import Watch
from workers.job.shelf import Shelf, open_shelf
from workers.job.variants import Variants
from workers.memory.mirrors import Mirrors
from workers.metrics import WorkerMetrics
from workers.process.connections import connect
from workers.process.exit_codes import REASONS, Exit
from workers.process.liveness.heartbeat import Heartbeat
from workers.process.liveness.lifeline import end_with_parent
from workers.process.liveness.status_file import StatusFile
from workers.process.replacement import Replacement
from workers.settings import WorkerSettings

log = structlog.get_logger()


class Engine:
    """Answers one relay after another."""

    def __init__(self, settings: WorkerSettings, status: StatusFile) -> None:
        self._status = status
        # One connection for jobs: the commit waits for the disk on the connection that wrote.
        self._redis = connect(settings.redis_url, one_connection=True)
        self.shelf = open_shelf(settings)
        self.replacement = Replacement(settings)
        self.heartbeat = Heartbeat(connect(settings.redis_url), self.shelf, settings.timing)
        self._metrics = WorkerMetrics()
        self._mirrors = Mirrors(self._redis, settings.resident_memories)
        variants = Variants(self._redis, settings.resident_variants, self._metrics)
        self._pipeline = Pipeline(self.shelf, variants, self._mirrors, self._redis, self._metrics)

    def serve(self, socket: Path) -> Exit:
        """Answers relays until a new process should do so; returns why.

        A relay that connects while the engine leaves gets no "taken", and connects to the next one.
        """
        with Listener(str(socket), "AF_UNIX", backlog=16) as listener:
            self.heartbeat.start()
            self._status.wait_for_jobs()
            while True:
                with listener.accept() as connection:
                    leave = self._answer(connection)
                self._status.wait_for_jobs()
                leave = leave or self.replacement.due(self.heartbeat.jobs)
                if leave is not None:
                    return leave

    def _answer(self, connection: Connection) -> Exit | None:
        """Answers one relay; returns why the engine has to leave, if it has to."""
        leave = None
        try:
            request = json.loads(connection.recv_bytes())
            self._status.begin_job(request["job_id"], request["relay"])
            connection.send_bytes(b'{"taken": true}')
            about = request["log"]
            with structlog.contextvars.bound_contextvars(**about), tracing.job(about, request["task"]):
                reply, leave = self._run(request, connection)
                self._metrics.publish(self._redis)
            self.heartbeat.after_job(self._pipeline.votes_per_second, self._mirrors.names())
            connection.send_bytes(json.dumps(reply).encode())
        except (EOFError, OSError):
            log.info("relay gone before its answer")
        return leave

    def _run(self, request: Mapping[str, Any], connection: Connection) -> tuple[dict[str, Any], Exit | None]:
        job_id, kind = request["job_id"], request["kind"]
        labels = kind, self._model(request["task"])
        started = time.monotonic()
        log.info("job begins")
        try:
            if request["attempt"] == 1:
                self._observe_queue(job_id, labels[1])
            watch = Watch(self._redis, job_id, connection, request["attempt"])
            result = self._pipeline.run(kind, request["task"], watch)
            seconds = time.monotonic() - started
            self._metrics.observe(COMPUTE_SECONDS, seconds, labels[1])
            log.info("job done", seconds=round(seconds, 6))
            return {"result": result}, None
        except Abandoned:
            log.info("job abandoned")
            self._count_cancelled(job_id, labels)
            return {"abandoned": job_id}, None
        except Superseded:
            log.info("attempt superseded")
            return {"superseded": job_id}, None
        except (RedisError, TimeoutError) as error:
            log.warning("store lost", error=type(error).__name__)
            return {"lost": "the store was lost while the job ran"}, None
        except Exception as error:
            # The engine must outlive every job; what went wrong is in the log and not in the answer.
            if is_device_lost(error):
                log.exception("device lost")
                return {"lost": "the device failed while the job ran"}, Exit.DEVICE_LOST
            failure = _failure(error)
            self._metrics.add(JOBS, *labels, "failed", failure.code.value)
            return {"failure": {"code": failure.code.value, "detail": failure.detail}}, None

    def _count_cancelled(self, job_id: str, labels: tuple[str, str]) -> None:
        """Counts a job that its client gave up; of another one its relay says why, or it is tried again."""
        with suppress(RedisError):
            if self._redis.exists(keys.cancel(job_id)):
                self._metrics.add(JOBS, *labels, "abandoned", "")

    def _model(self, task: object) -> str:
        """The model of a task as a label: a name that is known, so that labels cannot become many."""
        name = task.get("model") if isinstance(task, dict) else None
        return name if name in self.shelf.names else "unknown"

    def _observe_queue(self, job_id: str, model: str) -> None:
        """Observes how long a job has waited, by the server's clock alone: ids of events are its time."""
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.xrange(keys.events(job_id), count=1)
            pipeline.time()
            events, (seconds, microseconds) = pipeline.execute()
        if events:
            submitted = int(events[0][0].partition(b"-")[0]) / 1000
            waited = max(0.0, seconds + microseconds / 1e6 - submitted)
            self._metrics.observe(QUEUE_SECONDS, waited, model)


def _failure(error: Exception) -> JobFailure:
    """What the client is told."""
    if isinstance(error, JobFailure):
        log.warning("job failed", code=error.code.value, detail=error.detail)
        return error
    log.exception("job failed", code=ProblemCode.INTERNAL_ERROR.value)
    internal = problem(ProblemCode.INTERNAL_ERROR, "the worker's log has the details")
    return JobFailure(internal.code, internal.detail)


def warm_up(shelf: Shelf, settings: WorkerSettings) -> None:
    """Loads the default model (the first one, when none is named) before any request asks for it."""
    ready = [model.name for model in shelf.catalogue() if model.ready]
    name = settings.default_model or first_choice(ready)
    if name is None:
        return
    try:
        shelf.load(name)
    except JobFailure as failure:
        log.error("default model not loaded", model=name, reason=failure.detail)


def main() -> None:
    """Runs an engine until its parent ends, a SIGTERM comes, or a new process should go on."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--socket", type=Path, required=True)
    arguments = parser.parse_args()
    settings = WorkerSettings()
    configure_logs("engine", settings.log_format, settings.log_level)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides
    end_with_parent()
    status = StatusFile(arguments.socket.parent, settings.timing.engine_heartbeat_seconds)
    tracing.begin(settings)
    _step_back(settings.niceness)
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    engine = Engine(settings, status)
    signal.signal(signal.SIGTERM, lambda _signal, _frame: _leave(engine))
    warm_up(engine.shelf, settings)
    engine.replacement.set_limit()
    arguments.socket.unlink(missing_ok=True)
    reason = engine.serve(arguments.socket)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it leaves already
    log.info("engine leaves", reason=REASONS[reason], jobs=engine.heartbeat.jobs)
    with suppress(RedisError):
        engine.heartbeat.stop()
    if reason is Exit.DEVICE_LOST:
        os._exit(reason)  # a library may wait for the device as Python ends
    raise SystemExit(reason)


def _step_back(niceness: int) -> None:
    """Lets the API go first where it shares the machine: it needs little, and somebody waits for it."""
    os.nice(niceness)
    # Where Linux shares the processor out by session, niceness counts only within one; a session has its own.
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(niceness))


def _leave(engine: Engine) -> None:
    with suppress(RedisError):
        engine.heartbeat.stop()
    raise SystemExit(0)


if __name__ == "__main__":
    main()
