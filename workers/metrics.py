"""What a process of a worker counts, and how it gets to Redis: one transaction for each job."""

from collections import defaultdict

import structlog
from redis import Redis, RedisError

from contract import keys
from contract.metrics import Family

log = structlog.get_logger()


class Measures:
    """Counts that are not yet in Redis."""

    def __init__(self) -> None:
        self._pending: dict[str, float] = defaultdict(float)

    def add(self, family: Family, *labels: str, by: float = 1) -> None:
        """Counts."""
        self._pending[family.field(*labels)] += by

    def observe(self, family: Family, value: float, *labels: str) -> None:
        """Puts a value into a histogram."""
        for field, by in family.fields(value, *labels).items():
            self._pending[field] += by

    def publish(self, redis: Redis) -> None:
        """Adds all of it to what is in Redis. If that fails, it is lost: no job fails by it."""
        counted, self._pending = self._pending, defaultdict(float)
        if not counted:
            return
        try:
            with redis.pipeline(transaction=True) as pipeline:
                for field, by in counted.items():
                    pipeline.hincrbyfloat(keys.MEASURES, field, by)
                pipeline.execute()
        except RedisError as error:
            log.warning("measures lost", error=type(error).__name__, fields=len(counted))
