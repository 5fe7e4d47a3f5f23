"""The whole stack with a proxy before its store, and a hand on every process of it.

What dies is started again by the product: `radii.stack` watches over API and workers, each worker over its engine
and its queue worker. The store and a second API process, which `radii serve` does not have, are watched here in
the same way.
"""

import os
import sys
import threading
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from redis import Redis

from contract.models import EngineStatus
from radii import embedded
from radii.stack import Stack, StackPlan, free_port
from tests.support.processes import children, with_environment
from tests.support.proxy import Proxy
from tests.support.service import is_ready, living_engines
from tests.support.store import answers
from tests.support.waiting import until
from workers.process.child import Child

MARK = "RADII_CHAOS_RUN"
"""In the environment of every process of a run, so that those which were left over are found."""


class Cluster:
    """Two API processes, workers and a store. Use as a context manager."""

    def __init__(self, folder: Path, log: IO[str], environment: dict[str, str], workers: int = 2) -> None:
        self.mark = uuid.uuid4().hex
        self._folder = folder / "store"
        self._log = log
        self._workers = workers
        self._environment = {**environment, MARK: self.mark, "RADII_AUTH": "off"}
        self._stopping = threading.Event()
        self._holding = threading.Lock()  # while the store is held down, it is not started again
        self._watcher = threading.Thread(target=self._watch, name="watcher", daemon=True)
        self._stop = ExitStack()
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.close()

    def _start(self) -> None:
        """Everything that is started leaves a word on how it is stopped; the last to come is the first to go."""
        port = free_port()
        self.direct_url = embedded.url(self._folder, port)
        self._store = self._child("store", "radii.embedded", str(self._folder), "--port", str(port), grace=30)
        self.redis = self._stop.enter_context(Redis.from_url(self.direct_url, socket_timeout=20))
        until(lambda: answers(self.redis), "the store does not answer")
        self.proxy = self._stop.enter_context(Proxy(port))
        redis_url = embedded.url(self._folder, self.proxy.port)
        plan = StackPlan(
            self._folder,
            port=free_port(),
            workers=self._workers,
            redis_url=redis_url,
            environment=self._environment,
            auth=False,
            stop_grace=2,
            log=self._log,
        )
        self.stack = self._stop.enter_context(Stack(plan))
        second = str(free_port())
        self._environment["RADII_REDIS_URL"] = redis_url
        self._second = self._child("API 2", "radii", "api", "--lifeline", "--port", second, grace=15)
        self.urls = [self.stack.url, f"http://127.0.0.1:{second}"]
        self._watcher.start()
        self._stop.callback(self._stop_watching)
        self._until(lambda: all(map(is_ready, self.urls)), "an API is not ready")
        self._until(lambda: len(self.engines()) == self._workers, "an engine did not come up")

    def _child(self, name: str, *words: str, grace: float) -> Child:
        environment = {**os.environ, **self._environment}
        child = Child(name, [sys.executable, "-m", *words], environment, self._log)
        self._stop.callback(child.stop, grace)
        return child

    def _stop_watching(self) -> None:
        self._stopping.set()
        self._watcher.join()

    def _until(self, reached: Callable[[], bool], words: str) -> None:
        until(lambda: bool(self.failures) or reached(), words)
        assert not self.failures, self.failures

    def _watch(self) -> None:
        """What `radii serve` does in its main loop."""
        while not self._stopping.wait(0.1):
            try:
                self.stack.keep_running()
                self._second.keep_running()
                with self._holding:
                    self._store.keep_running()
            except Exception as error:
                self.failures.append(str(error))
                return

    def api(self, number: int) -> int:
        """The process id of an API: 0 or 1."""
        return self._second.process.pid if number else self.stack.pid("API")

    def supervisor(self, number: int) -> int:
        """The process id of a worker's parent."""
        return self.stack.pid(f"worker {number + 1}")

    def engine(self, number: int) -> int | None:
        """The process id of a worker's engine."""
        return next(iter(children(self.supervisor(number), "workers.process.engine")), None)

    def queue_worker(self, number: int) -> int | None:
        """The process id of a worker's queue worker."""
        return next(iter(children(self.supervisor(number), "workers.process.rq.queue_worker")), None)

    def relay(self, number: int) -> int | None:
        """The process id of a worker's relay: a fork of its queue worker, while it has a job."""
        parent = self.queue_worker(number)
        return None if parent is None else next(iter(children(parent)), None)

    def server(self) -> int:
        """The process id of the store itself."""
        return int(self.redis.info("server")["process_id"])

    def hold_store(self) -> threading.Lock:
        """A lock that keeps the store from being started again."""
        return self._holding

    def wait_for_store(self) -> None:
        """Waits until it answers again."""
        until(lambda: answers(self.redis), "the store did not come back")

    def append_to_log(self, torn: bytes) -> None:
        """Writes to the end of the append-only file, as a power cut in the middle of a write leaves it."""
        with self._log_file().open("ab") as file:
            file.write(torn)

    def shorten_log(self, size: int) -> None:
        """Takes bytes from the end of the append-only file, as a disk does that lied about its writes."""
        file = self._log_file()
        os.truncate(file, file.stat().st_size - size)

    def _log_file(self) -> Path:
        files = (self._folder / "appendonlydir").glob("*.incr.aof")
        return max(files, key=lambda file: int(file.name.split(".")[-3]))

    def said(self, words: str) -> int:
        """How often the log of all processes says so."""
        return (self._folder.parent / "radii.log").read_text().count(words)

    def engines(self) -> list[EngineStatus]:
        """What the engines that are alive last said."""
        return living_engines(self.redis)

    def left_over(self) -> list[str]:
        """Processes of this run that are there still."""
        return with_environment(f"{MARK}={self.mark}")
