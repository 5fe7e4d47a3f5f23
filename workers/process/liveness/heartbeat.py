"""An engine's report to Redis: that it lives, and which models it holds. The API has no other source."""

import os
import secrets
import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import structlog
from redis import Redis
from redis.exceptions import RedisError

from contract import keys
from contract.models import EngineStatus, FollowedMemory
from contract.settings import Timing
from workers.job.loaded_models import LoadedModels
from workers.process.replacement import device_bytes, resident_bytes

log = structlog.get_logger()


class Heartbeat:
    """Publishes an engine's status every ``engine_heartbeat_seconds``, and soon after each job."""

    def __init__(self, redis: Redis, models: LoadedModels, timing: Timing) -> None:
        self._redis = redis
        self._timing = timing
        self._models = models
        self._started_at = datetime.now(UTC)
        self._wake = threading.Event()
        self._stopped = False
        self.engine_id = secrets.token_hex(8)
        self.jobs = 0
        self._votes_per_second: dict[str, float] = {}
        self._memories: list[tuple[str, str]] = []
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Publishes from now on, in a thread; after an outage of Redis as soon as it is back."""
        self._wake.set()
        self._thread.start()

    def after_job(self, votes_per_second: Mapping[str, float], memories: Sequence[tuple[str, str]]) -> None:
        """Counts a job and publishes soon, since models may have been loaded.

        Args:
            votes_per_second: Of the last answer of each model.
            memories: The memories that the engine follows: model digest and namespace.
        """
        self.jobs += 1
        self._votes_per_second, self._memories = dict(votes_per_second), list(memories)
        self._wake.set()

    def stop(self) -> None:
        """Takes the engine off the list of engines."""
        if not self._thread.is_alive():  # it was asked to leave before its first model was loaded
            return
        self._stopped = True
        self._wake.set()
        self._thread.join(timeout=5)
        with suppress(RedisError):
            self._redis.zrem(keys.ENGINES, self.engine_id)

    def _beat(self) -> None:
        while not self._stopped:
            self._wake.wait(self._timing.engine_heartbeat_seconds)
            self._wake.clear()
            try:
                self._publish()
            except RedisError as error:
                log.warning("heartbeat not written", error=type(error).__name__)

    def _publish(self) -> None:
        # The server's clock: engines and API may be on machines whose clocks differ.
        seconds, microseconds = self._redis.time()
        now = seconds + microseconds / 1e6
        models = self._models.catalogue()
        names = {model.digest: model.name for model in models}
        status = EngineStatus(
            engine_id=self.engine_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            device=self._models.device_name,
            started_at=self._started_at,
            jobs=self.jobs,
            loads=self._models.loads,
            models=models,
            resident_bytes=resident_bytes(),
            device_bytes=device_bytes(),
            votes_per_second=self._votes_per_second,
            memories=[
                FollowedMemory(model=names[digest], model_digest=digest, namespace=namespace)
                for digest, namespace in self._memories
                if digest in names
            ],
        )
        known = self._timing.engine_known_seconds
        with self._redis.pipeline() as pipeline:
            pipeline.set(keys.engine(self.engine_id), status.model_dump_json(), px=int(1000 * known))
            pipeline.zadd(keys.ENGINES, {self.engine_id: now})
            pipeline.zremrangebyscore(keys.ENGINES, 0, now - known)
            pipeline.execute()
