"""The log of one memory as it lies in Redis: appended to, never changed."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from redis import Redis

from contract import keys
from workers.failures import WorkerError

# Several engines may notice the same loss: only the first one changes the epoch.
_RENEW: Final = """
if redis.call('HGET', KEYS[1], 'epoch') == ARGV[1] then redis.call('HSET', KEYS[1], 'epoch', ARGV[2]) end
"""


class MemoryDamaged(WorkerError):
    """The log, its head and its centres do not belong together; nothing is answered from such a memory."""


@dataclass(frozen=True)
class Head:
    """The state of a memory.

    Attributes:
        epoch: Changes when the memory was wiped or lost; None before the first region.
        chain: Over all records in order; empty before the first.
        length: Number of records.
    """

    epoch: str | None
    chain: str
    length: int


class RegionStore:
    """Reads one memory; `workers.memory.commit` writes it."""

    def __init__(self, redis: Redis, model_digest: str, namespace: str) -> None:
        self._redis = redis
        self.name = f"{model_digest[:12]}:{namespace}"
        self.head_key = keys.memory_head(model_digest, namespace)
        self.log_key = keys.memory_log(model_digest, namespace)
        self.centers_key = keys.memory_centers(model_digest, namespace)

    def read(self, start: int, count: int) -> tuple[Head, list[bytes]]:
        """Returns the state and up to ``count`` records from ``start`` on, all of one moment."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hmget(self.head_key, ["epoch", "head"])
            pipe.llen(self.log_key)
            pipe.lrange(self.log_key, start, start + count - 1)
            (epoch, chain), length, records = cast("tuple[Any, int, list[bytes]]", pipe.execute())
        return Head(None if epoch is None else epoch.decode(), (chain or b"").decode(), length), records

    def record(self, index: int) -> bytes:
        """Returns one record."""
        record = self._redis.lindex(self.log_key, index)
        if not isinstance(record, bytes):
            raise MemoryDamaged(f"memory {self.name} has no record {index}")
        return record

    def centers(self, digests: Sequence[str]) -> list[bytes]:
        """Returns the pixels of these images.

        Raises:
            MemoryDamaged: Some are not there.
        """
        if not digests:
            return []
        pixels = cast("list[bytes | None]", self._redis.hmget(self.centers_key, list(digests)))
        for digest, one in zip(digests, pixels, strict=True):
            if one is None:
                raise MemoryDamaged(f"memory {self.name} has lost the image {digest}")
        return cast("list[bytes]", pixels)

    def renew(self, epoch: str) -> None:
        """Gives the memory another epoch in place of this one: regions that it had are gone."""
        self._redis.eval(_RENEW, 1, self.head_key, epoch, new_epoch())


def new_epoch() -> str:
    """Returns an epoch that no memory has had."""
    return secrets.token_hex(16)


def chained(chain: str, record: bytes) -> str:
    """Returns the chain after a record, as the commit script computes it."""
    return hashlib.sha1(chain.encode() + record, usedforsecurity=False).hexdigest()
