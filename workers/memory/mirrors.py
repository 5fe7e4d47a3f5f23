"""The memories that an engine follows."""

from cachetools import LRUCache
from redis import Redis

from workers.memory.mirror import Mirror
from workers.memory.store import RegionStore


class Mirrors:
    """Mirrors by model and namespace; those used last are kept, the others are read again."""

    def __init__(self, redis: Redis, capacity: int) -> None:
        self._redis = redis
        self._kept: LRUCache[tuple[str, str], Mirror] = LRUCache(capacity)

    def get(self, model_digest: str, namespace: str, shape: tuple[int, int, int]) -> Mirror:
        """Returns the mirror of one memory, as far as it was read before."""
        key = (model_digest, namespace)
        mirror = self._kept.get(key)
        if mirror is None:
            mirror = Mirror(RegionStore(self._redis, model_digest, namespace), shape)
            self._kept[key] = mirror
        return mirror

    def names(self) -> list[tuple[str, str]]:
        """Returns model digest and namespace of each memory that is kept."""
        return list(self._kept)
