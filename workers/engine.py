"""The one process of a worker that imports torch: keeps models resident and answers relays, one at a time."""

import argparse
import json
import signal
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

import structlog
import torch
from redis.exceptions import RedisError

from contract.choices import ProblemCode
from contract.models import first_choice
from contract.problems import problem
from workers import lifeline, logs
from workers.connections import connect
from workers.failures import Abandoned, JobFailure, Superseded
from workers.heartbeat import Heartbeat
from workers.memory.mirrors import Mirrors
from workers.pipeline import Pipeline
from workers.settings import WorkerSettings
from workers.shelf import Shelf, open_shelf
from workers.variants import Variants
from workers.watch import Watch

log = structlog.get_logger()


class Engine:
    """Answers one relay after another."""

    def __init__(self, settings: WorkerSettings) -> None:
        # One connection for jobs: the commit waits for the disk on the connection that wrote.
        self._redis = connect(settings.redis_url, one_connection=True)
        self.shelf = open_shelf(settings)
        self.heartbeat = Heartbeat(connect(settings.redis_url), self.shelf)
        variants = Variants(self._redis, settings.resident_variants)
        mirrors = Mirrors(self._redis, settings.resident_memories)
        self._pipeline = Pipeline(self.shelf, variants, mirrors, self._redis)

    def serve(self, socket: Path) -> None:
        """Listens until the process is told to end."""
        with Listener(str(socket), "AF_UNIX", backlog=16) as listener:
            self.heartbeat.start()
            while True:
                with listener.accept() as connection:
                    self._answer(connection)

    def _answer(self, connection: Connection) -> None:
        try:
            request = json.loads(connection.recv_bytes())
            reply = self._run(request, connection)
            self.heartbeat.jobs += 1
            self.heartbeat.now()
            connection.send_bytes(json.dumps(reply).encode())
        except (EOFError, OSError):
            log.info("relay gone before its answer")

    def _run(self, request: dict[str, Any], connection: Connection) -> dict[str, Any]:
        job_id = request["job_id"]
        try:
            watch = Watch(self._redis, job_id, connection, request["attempt"])
            return {"result": self._pipeline.run(request["kind"], request["task"], watch)}
        except Abandoned:
            log.info("job abandoned", job=job_id)
            return {"abandoned": job_id}
        except Superseded:
            log.info("attempt superseded", job=job_id, attempt=request["attempt"])
            return {"superseded": job_id}
        except JobFailure as failure:
            log.warning("job failed", job=job_id, code=failure.code.value, detail=failure.detail)
            return {"failure": {"code": failure.code.value, "detail": failure.detail}}
        except (RedisError, TimeoutError) as error:
            log.warning("store lost", job=job_id, error=type(error).__name__)
            return {"lost": "the store was lost while the job ran"}
        except Exception:
            # The engine must outlive every job; what went wrong is in the log and not in the answer.
            log.exception("job failed", job=job_id)
            internal = problem(ProblemCode.INTERNAL_ERROR, "the worker's log has the details")
            return {"failure": {"code": internal.code.value, "detail": internal.detail}}


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
    """Runs an engine until its parent ends or a SIGTERM comes."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--socket", type=Path, required=True)
    arguments = parser.parse_args()
    logs.configure()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides
    lifeline.hold(lambda: None)
    settings = WorkerSettings()
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    engine = Engine(settings)
    signal.signal(signal.SIGTERM, lambda _signal, _frame: _leave(engine))
    warm_up(engine.shelf, settings)
    arguments.socket.unlink(missing_ok=True)
    engine.serve(arguments.socket)


def _leave(engine: Engine) -> None:
    engine.heartbeat.stop()
    raise SystemExit(0)


if __name__ == "__main__":
    main()
