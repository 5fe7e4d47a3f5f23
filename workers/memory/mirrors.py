"""The memories that an engine follows."""

from collections import OrderedDict

from redis import Redis

from workers.memory.mirror import Mirror
from workers.memory.store import RegionStore


class Mirrors:
    """Mirrors by model and namespace; those used last are kept, the others are read again."""

    def __init__(self, redis: Redis, capacity: int) -> None:
        self._redis = redis
        self._capacity = capacity
        self._kept: OrderedDict[tuple[str, str], Mirror] = OrderedDict()

    def get(self, model_digest: str, namespace: str, shape: tuple[int, int, int]) -> Mirror:
        """Returns the mirror of one memory, as far as it was read before."""
        key = (model_digest, namespace)
        if key not in self._kept:
            self._kept[key] = Mirror(RegionStore(self._redis, model_digest, namespace), shape)
        self._kept.move_to_end(key)
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
        return self._kept[key]

    def names(self) -> list[tuple[str, str]]:
        """Returns model digest and namespace of each memory that is kept."""
        return list(self._kept)
