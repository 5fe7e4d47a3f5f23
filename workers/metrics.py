"""Metrics of workers: counted in the process, added to Redis in one transaction for each job."""

from collections import defaultdict

import structlog
from redis import Redis, RedisError

from contract import keys
from contract.metrics import Family

log = structlog.get_logger()


class WorkerMetrics:
    """Counts that are not yet in Redis."""

    def __init__(self) -> None:
        self._pending: dict[str, float] = defaultdict(float)

    def add(self, family: Family, *labels: str, by: float = 1) -> None:
        """Adds to a counter."""
        self._pending[family.field(*labels)] += by

    def observe(self, family: Family, value: float, *labels: str) -> None:
        """Adds a value to a histogram."""
        for field, by in family.fields(value, *labels).items():
            self._pending[field] += by

    def publish(self, redis: Redis) -> None:
        """Adds the counts to those in Redis. An error loses them, so that no job fails by its metrics."""
        counted, self._pending = self._pending, defaultdict(float)
        if not counted:
            return
        try:
            with redis.pipeline(transaction=True) as pipeline:
                for field, by in counted.items():
                    pipeline.hincrbyfloat(keys.METRICS, field, by)
                pipeline.execute()
        except RedisError as error:
            log.warning("metrics lost", error=type(error).__name__, fields=len(counted))


def count(redis: Redis, family: Family, *labels: str) -> None:
    """Adds one to a counter in Redis, at once."""
    metrics = WorkerMetrics()
    metrics.add(family, *labels)
    metrics.publish(redis)
