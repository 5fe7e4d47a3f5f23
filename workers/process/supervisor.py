"""The parent of one worker: starts its engine and its queue worker, and starts again whichever dies."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

import structlog

from contract.metrics import RESTARTS
from workers.metrics import WorkerMetrics
from workers.process import pulse
from workers.process.connections import connect
from workers.process.exits import PLANNED, REASONS, Exit
from workers.process.rq.reaper import Reaper
from workers.process.watchdog import Busy, Watchdog
from workers.settings import WorkerSettings

log = structlog.get_logger()

_POLL_SECONDS = 0.05
_FAST_DEATHS = 5  # in a row; then the fault is not a job's, and the supervisor gives up
_FAST_SECONDS = 30.0  # to import torch and fail takes ten on a busy machine
_FORCE_AFTER = 1.5  # RQ ignores a second signal within a second of the first


class Child:
    """A process that is started again when it dies, and that dies with its parent.

    When it has made its ``sign_of_life``, a file, it is up; what kills it then is no fault of its start.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        environment: Mapping[str, str],
        log_file: IO[str] | None = None,
        sign_of_life: Path | None = None,
    ) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._log_file = log_file
        self._sign_of_life = sign_of_life
        self._started = 0.0
        self._fast_deaths = 0
        self._asked = False
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        self._started = time.monotonic()
        if self._sign_of_life is not None:
            self._sign_of_life.unlink(missing_ok=True)
        self._asked = False
        # A session of its own: Ctrl-C in a terminal reaches the supervisor alone, which stops all in order.
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=self._log_file,
            stderr=self._log_file,
            env=self._environment,
            start_new_session=True,
        )

    def keep_running(self) -> int | None:
        """Starts the process again if it has died.

        Returns:
            The exit code that it died with; None if it runs.

        Raises:
            RuntimeError: It dies as often as it is started.
        """
        code = self.process.poll()
        if code is None:
            return None
        lived = round(time.monotonic() - self._started, 1)
        self._let_go()
        if code in PLANNED:
            log.info("process replaced", child=self.name, reason=REASONS[code], lived=lived)
        else:
            log.error("process died", child=self.name, code=code, lived=lived)
            self._require_life(code, lived)
        self.process = self._start()
        return code

    def _require_life(self, code: int, lived: float) -> None:
        if code == Exit.GAVE_UP:
            raise RuntimeError(f"the {self.name} gave up: what it runs keeps dying")
        if code != os.EX_TEMPFAIL:  # the store was lost, which is not its fault
            self._fast_deaths = self._fast_deaths + 1 if lived < _FAST_SECONDS and not self._was_up() else 0
        if self._fast_deaths >= _FAST_DEATHS:
            raise RuntimeError(
                f"the {self.name} died {_FAST_DEATHS} times within {_FAST_SECONDS:g} s of its start"
            )

    def _was_up(self) -> bool:
        """Whether it got as far as serving: then a job may have killed it, and the next one need not."""
        return self._sign_of_life is not None and self._sign_of_life.exists()

    def _let_go(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()

    def ask(self) -> None:
        """Asks the process to end; once, since a second signal would tell it not to finish anything."""
        if self.process.poll() is None and not self._asked:
            self.process.terminate()
        self._asked = True

    def stop(self, grace: float) -> None:
        """Asks the process to end if that was not done yet, waits, then makes it."""
        self.ask()
        try:
            self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._let_go()


class Supervisor:
    """One worker: an engine and a queue worker."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._environment = settings.environment()
        self._signals = 0

    def run(self) -> int:
        """Runs until SIGTERM or SIGINT; the running job may finish. A second signal ends it at once."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._count_signal)
        with tempfile.TemporaryDirectory(prefix=pulse.FOLDER_PREFIX, ignore_cleanup_errors=True) as folder:
            socket = Path(folder) / "engine.sock"
            engine = WatchedEngine(
                Child(
                    "engine",
                    self._python("workers.process.engine", "--socket", str(socket)),
                    self._environment,
                    sign_of_life=socket,
                ),
                Busy(Path(folder)),
                self._settings,
            )
            queue_worker = Child(
                "queue worker",
                self._python("workers.process.rq.queue_worker", "--engine", str(socket)),
                self._environment,
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
            except RuntimeError as error:
                log.error("worker gives up", reason=str(error))
                return Exit.GAVE_UP
            finally:
                reaper.stop()
                self._stop_queue_worker(queue_worker, engine)
                engine.child.stop(grace=5)

    def _stop_queue_worker(self, queue_worker: Child, engine: "WatchedEngine") -> None:
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
            with suppress(RuntimeError):
                engine.keep_running()
            time.sleep(_POLL_SECONDS)

    def _count_signal(self, _number: int, _frame: object) -> None:
        self._signals += 1

    @staticmethod
    def _python(module: str, *arguments: str) -> list[str]:
        return [sys.executable, "-m", module, *arguments]


class WatchedEngine:
    """An engine that is started again when it dies, and killed when it hangs."""

    def __init__(self, child: Child, busy: Busy, settings: WorkerSettings) -> None:
        self.child = child
        self._busy = busy
        self._settings = settings
        self._watchdog = Watchdog(busy, settings.engine_hang_seconds)
        self._given_up = False

    def keep_running(self) -> None:
        """Starts the engine again if it has died, or has not left a job for which nobody waits.

        Raises:
            RuntimeError: It dies as often as it is started, and not by its jobs; it is not started any more.
        """
        if self._given_up:
            return
        hung = self._watchdog.hung()
        if hung is not None:
            log.error("engine hangs", job_id=hung.job_id, seconds=self._settings.engine_hang_seconds)
            self.child.process.kill()
            self.child.process.wait()
        try:
            code = self.child.keep_running()
        except RuntimeError:
            self._given_up = True
            raise
        if code is not None:
            self._busy.end()
            count_restart(self._settings, "engine", "hung" if hung else REASONS.get(code, "died"))


def count_restart(settings: WorkerSettings, process: str, reason: str) -> None:
    """Counts a restart in Redis, without waiting for it."""

    def publish() -> None:
        metrics = WorkerMetrics()
        metrics.add(RESTARTS, process, reason)
        with connect(settings.redis_url, read_timeout=5) as redis:
            metrics.publish(redis)

    threading.Thread(target=publish, name="restart", daemon=True).start()
