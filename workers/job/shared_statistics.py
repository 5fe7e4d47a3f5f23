"""Batch-norm statistics on Redis: estimated by one worker, used bit for bit by all."""

from collections.abc import Callable

from redis import Redis

from contract import keys
from contract.limits import STATISTICS_TTL


class SharedStatistics:
    """The `certifier.adaptation.StatisticsStore` of a deployment."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def get_or_publish(self, model_digest: str, law_name: str, make: Callable[[], bytes]) -> bytes:
        """Returns the bytes that all workers use; publishes this worker's own if there are none.

        Those in use are kept for another `STATISTICS_TTL`.
        """
        key = keys.statistics(model_digest, law_name)
        if not self._redis.expire(key, STATISTICS_TTL):
            # Another worker may publish while this one estimates: NX, and what is there afterwards counts.
            self._redis.set(key, make(), nx=True, ex=STATISTICS_TTL)
        stored = self._redis.get(key)
        if not isinstance(stored, bytes):
            raise TypeError(f"the statistics under '{key}' must be bytes, got {type(stored).__name__}")
        return stored
