"""The one process of a worker that imports torch: keeps models resident and answers relays, one at a time."""

import argparse
import os
import signal
import time
from contextlib import suppress
from multiprocessing.connection import Connection, Listener
from pathlib import Path

import structlog
import torch
from redis.exceptions import RedisError

from certifier import Variants
from contract import keys
from contract.choices import ProblemCode
from contract.logs import configure_logs
from contract.metrics import COMPUTE_SECONDS, JOBS, QUEUE_SECONDS
from contract.models import first_choice
from models.backends.device_errors import is_device_lost
from workers import tracing
from workers.failures import Abandoned, EngineLost, JobFailure, Superseded, WorkerError
from workers.job.loaded_models import LoadedModels, find_models
from workers.job.pipeline import Pipeline
from workers.job.progress import JobProgress
from workers.job.shared_statistics import SharedStatistics
from workers.memory.mirror import Mirrors
from workers.metrics import WorkerMetrics
from workers.process.child import REASONS, Exit
from workers.process.connections import connect
from workers.process.engine_socket import TAKEN, JobRequest, to_reply
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
        self.models = find_models(settings)
        self.replacement = Replacement(settings)
        self.heartbeat = Heartbeat(connect(settings.redis_url), self.models, settings.timing)
        self._metrics = WorkerMetrics()
        self._mirrors = Mirrors(self._redis, settings.resident_memories)
        statistics = SharedStatistics(self._redis)
        variants = Variants(statistics, settings.resident_variants, self._metrics.add)
        self._pipeline = Pipeline(self.models, variants, self._mirrors, self._redis, self._metrics)

    def serve(self, socket: Path) -> Exit:
        """Answers relays until a new process should do so; returns why.

        A relay that connects while the engine leaves gets no "taken", and connects to the next one.
        """
        with Listener(str(socket), "AF_UNIX", backlog=16) as listener:
            self.heartbeat.start()
            self._status.set_job(None)
            while True:
                with listener.accept() as connection:
                    leave = self._answer(connection)
                self._status.set_job(None)
                leave = leave or self.replacement.due(self.heartbeat.jobs)
                if leave is not None:
                    return leave

    def _answer(self, connection: Connection) -> Exit | None:
        """Answers one relay; returns why the engine has to leave, if it has to."""
        leave: Exit | None = None
        outcome: dict[str, str] | WorkerError
        try:
            request = JobRequest.from_bytes(connection.recv_bytes())
            self._status.set_job(request.job_id, request.relay)
            connection.send_bytes(TAKEN)
            with (
                structlog.contextvars.bound_contextvars(**request.log),
                tracing.job(request.log, request.task),
            ):
                try:
                    outcome = self._run(request, connection)
                except Exception as error:  # the engine must outlive every job
                    outcome, leave = self._explain(error, request)
                self._metrics.publish(self._redis)
            self.heartbeat.after_job(self._pipeline.answers.votes_per_second, self._mirrors.names())
            connection.send_bytes(to_reply(outcome))
        except (EOFError, OSError):
            log.info("relay gone before its answer")
        return leave

    def _run(self, request: JobRequest, connection: Connection) -> dict[str, str]:
        """Runs a job; returns where its answer is."""
        model, started = self._model(request), time.monotonic()
        log.info("job begins")
        if request.attempt == 1:
            self._observe_queue(request.job_id, model)
        progress = JobProgress(self._redis, request.job_id, connection, request.attempt)
        result = self._pipeline.run(request.kind, request.task, progress)
        seconds = time.monotonic() - started
        self._metrics.observe(COMPUTE_SECONDS, seconds, model)
        log.info("job done", seconds=round(seconds, 6))
        return result

    def _explain(self, error: Exception, request: JobRequest) -> tuple[WorkerError, Exit | None]:
        """Logs and counts why a job has no answer.

        Returns:
            The error for its relay, and why the engine has to leave, if it has to.
        """
        if isinstance(error, Abandoned | Superseded):
            log.info("job abandoned" if isinstance(error, Abandoned) else "attempt superseded")
            return error, None
        if isinstance(error, RedisError | TimeoutError):
            log.warning("store lost", error=type(error).__name__)
            return EngineLost("the store was lost while the job ran"), None
        if is_device_lost(error):
            log.error("device lost", exc_info=error)
            return EngineLost("the device failed while the job ran"), Exit.DEVICE_LOST
        if isinstance(error, JobFailure):
            log.warning("job failed", code=error.code.value, detail=error.detail)
        else:
            log.error("job failed", code=ProblemCode.INTERNAL_ERROR.value, exc_info=error)
            error = JobFailure(ProblemCode.INTERNAL_ERROR, "the worker's log has the details")
        self._metrics.add(JOBS, request.kind, self._model(request), "failed", error.code.value)
        return error, None

    def _model(self, request: JobRequest) -> str:
        """The model of a job as a label: a known name, so that a client cannot make many labels."""
        name: str = request.log["model"]
        return name if name in self.models.names else "unknown"

    def _observe_queue(self, job_id: str, model: str) -> None:
        """Observes how long a job has waited, by Redis' clock: the ids of its events are times."""
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.xrange(keys.events(job_id), count=1)
            pipeline.time()
            events, (seconds, microseconds) = pipeline.execute()
        if events:
            submitted = int(events[0][0].partition(b"-")[0]) / 1000
            waited = max(0.0, seconds + microseconds / 1e6 - submitted)
            self._metrics.observe(QUEUE_SECONDS, waited, model)


def warm_up(models: LoadedModels, settings: WorkerSettings) -> None:
    """Loads the default model (the first one, when none is named) before the first request."""
    ready = [model.name for model in models.catalogue() if model.ready]
    name = settings.default_model or first_choice(ready)
    if name is None:
        return
    try:
        models.load(name)
    except JobFailure as failure:
        log.error("default model not loaded", model=name, reason=failure.detail)


def main() -> None:
    """Runs an engine until its parent ends, a SIGTERM comes, or a new process takes its place."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--socket", type=Path, required=True)
    arguments = parser.parse_args()
    settings = WorkerSettings()
    configure_logs("engine", settings.log_format, settings.log_level)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides
    end_with_parent()
    status = StatusFile(arguments.socket.parent, settings.timing.engine_heartbeat_seconds)
    tracing.begin(settings)
    _lower_priority(settings.niceness)
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    engine = Engine(settings, status)
    signal.signal(signal.SIGTERM, lambda _signal, _frame: _leave(engine))
    warm_up(engine.models, settings)
    engine.replacement.set_limit()
    arguments.socket.unlink(missing_ok=True)
    reason = engine.serve(arguments.socket)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is leaving
    log.info("engine leaves", reason=REASONS[reason], jobs=engine.heartbeat.jobs)
    engine.heartbeat.stop()
    if reason is Exit.DEVICE_LOST:
        os._exit(reason)  # CUDA's exit handlers may wait for the device without end
    raise SystemExit(reason)


def _lower_priority(niceness: int) -> None:
    """Gives way to the API on a machine that they share: it needs little, and its clients wait."""
    os.nice(niceness)
    # Where Linux groups processes by session, niceness counts within one alone; this sets that of the group.
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(niceness))


def _leave(engine: Engine) -> None:
    engine.heartbeat.stop()
    raise SystemExit(0)


if __name__ == "__main__":
    main()
