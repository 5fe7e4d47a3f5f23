"""The parent of one worker: starts its engine and its queue worker, and starts again what dies."""

import signal
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import structlog

from contract.metrics import RESTARTS
from workers.metrics import count
from workers.process.child import REASONS, Child, Exit, KeepsDying
from workers.process.connections import connect
from workers.process.liveness.status_file import FOLDER_PREFIX, Status, Watchdog, read_status
from workers.process.rq.reaper import Reaper
from workers.settings import WorkerSettings

log = structlog.get_logger()

_POLL_SECONDS = 0.05
_FORCE_AFTER = 1.5  # RQ ignores a second signal within a second of the first


class Supervisor:
    """One worker: an engine and a queue worker."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._signals = 0

    def run(self) -> int:
        """Runs until SIGTERM or SIGINT; the running job may finish. A second signal ends it at once."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._count_signal)
        with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX, ignore_cleanup_errors=True) as folder:
            socket = Path(folder) / "engine.sock"
            engine = EngineChild(socket, self._settings)
            queue_worker = Child(
                "queue worker",
                _python("workers.process.rq.queue_worker", socket),
                self._settings.environment(),
            )
            reaper = Reaper(connect(self._settings.redis_url), self._settings.timing)
            reaper.start()
            try:
                while not self._signals:
                    engine.keep_running()
                    if queue_worker.keep_running() is not None:
                        count_restart(self._settings, "queue_worker", "died")
                    time.sleep(_POLL_SECONDS)
                return 0
            except KeepsDying as error:
                log.error("worker gives up", reason=str(error))
                return Exit.GAVE_UP
            finally:
                reaper.stop()
                self._stop_queue_worker(queue_worker, engine)
                engine.stop(grace=5)

    def _stop_queue_worker(self, queue_worker: Child, engine: "EngineChild") -> None:
        """Lets the running job finish: the engine is still there while the queue worker ends."""
        process = queue_worker.process
        if process.poll() is not None:
            return
        process.terminate()
        asked = time.monotonic()
        while process.poll() is None:
            waited = time.monotonic() - asked
            forced = self._signals > 1 or waited > self._settings.stop_grace
            if forced and waited > _FORCE_AFTER:
                queue_worker.stop(grace=5)
                return
            with suppress(KeepsDying):
                engine.keep_running()
            time.sleep(_POLL_SECONDS)

    def _count_signal(self, _number: int, _frame: object) -> None:
        self._signals += 1


class EngineChild(Child):
    """An engine that is started again when it dies, and killed when it hangs."""

    def __init__(self, socket: Path, settings: WorkerSettings) -> None:
        self._folder = socket.parent
        self._settings = settings
        self._watchdog = Watchdog(settings.engine_hang_seconds)
        self._given_up = False
        super().__init__("engine", _python("workers.process.engine", socket), settings.environment())

    def came_up(self) -> bool:
        """Whether it has served: a job may have killed it then, and the next one need not."""
        status = self._status()
        return status is not None and status.serving

    def keep_running(self) -> int | None:
        """Starts the engine again if it has died, or works on although its relay has ended.

        Raises:
            KeepsDying: It dies as often as it is started, and not by its jobs. It is not started again.
        """
        if self._given_up:
            return None
        hung = self._watchdog.hung(self._status())
        if hung is not None:
            log.error("engine hangs", job_id=hung, seconds=self._settings.engine_hang_seconds)
            self.kill()
        try:
            code = super().keep_running()
        except KeepsDying:
            self._given_up = True
            raise
        if code is not None:
            count_restart(self._settings, "engine", "hung" if hung else REASONS.get(code, "died"))
        return code

    def _status(self) -> Status | None:
        """What this very process says; the file of the one before may still be there."""
        status = read_status(self._folder)
        return status if status is not None and status.pid == self.process.pid else None


def count_restart(settings: WorkerSettings, process: str, reason: str) -> None:
    """Counts a restart in Redis, without waiting for it."""

    def publish() -> None:
        with connect(settings.redis_url, read_timeout=5) as redis:
            count(redis, RESTARTS, process, reason)

    threading.Thread(target=publish, name="restart", daemon=True).start()


def _python(module: str, socket: Path) -> list[str]:
    return [sys.executable, "-m", module, "--socket", str(socket)]
