"""Memories in Redis: finding them, and reading one."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from redis import Redis

from contract import keys
from radii.errors import CommandError

_CHUNK: Final = 1_000  # records, or centres, read at a time


@dataclass(frozen=True, order=True)
class MemoryName:
    """The name of a memory: a model's digest and a namespace."""

    model_digest: str
    namespace: str

    def __str__(self) -> str:
        return f"memory '{self.namespace}' of model {self.model_digest[:12]}"


@dataclass(frozen=True)
class State:
    """A memory at one moment: its epoch, the chain over its records, and how many there are."""

    epoch: str | None
    head: str
    length: int


def find_memories(redis: Redis, digest: str = "", namespace: str | None = None) -> list[MemoryName]:
    """Returns the memories that hold anything, of models whose digest begins so, under this name or any."""
    pattern = keys.memory_head("*", "*").removesuffix("head") + "*"
    names_in_key = _key_expression()
    keys_found = (key.decode(errors="replace") for key in redis.scan_iter(pattern, count=1000))
    found = (names_in_key.fullmatch(key) for key in keys_found)
    names = {MemoryName(*match.groups()) for match in found if match}
    return sorted(
        name for name in names if name.model_digest.startswith(digest) and namespace in (None, name.namespace)
    )


def _key_expression() -> re.Pattern[str]:
    """Finds digest and namespace in any key of a memory: one whose head is lost is still there."""
    expression = re.escape(keys.memory_head("DIGEST", "NAMESPACE"))
    for part, words in (("DIGEST", "([^:}]+)"), ("NAMESPACE", "([^:}]+)"), ("head", "(?:head|log|centers)")):
        expression = expression.replace(part, words)
    return re.compile(expression)


class MemoryLog:
    """One memory, as it was when this object was made: a log only grows."""

    def __init__(self, redis: Redis, name: MemoryName) -> None:
        self.name = name
        self._redis = redis
        self._head = keys.memory_head(name.model_digest, name.namespace)
        self._log = keys.memory_log(name.model_digest, name.namespace)
        self._centers = keys.memory_centers(name.model_digest, name.namespace)
        self.state = self._read_state()

    def records(self) -> Iterator[bytes]:
        """Gives every record in order.

        Raises:
            CommandError: Some are gone.
        """
        for start in range(0, self.state.length, _CHUNK):
            stop = min(start + _CHUNK, self.state.length)
            records = cast("list[bytes]", self._redis.lrange(self._log, start, stop - 1))
            if len(records) < stop - start:
                raise CommandError(f"{self.name} was wiped while it was read: start again")
            yield from records

    def centers(self, digests: Sequence[str]) -> Iterator[bytes | None]:
        """Gives the pixels of images; None for those that are not there."""
        for start in range(0, len(digests), _CHUNK):
            part = list(digests[start : start + _CHUNK])
            yield from cast("list[bytes | None]", self._redis.hmget(self._centers, part))

    def require_same(self) -> None:
        """Checks that what was read is one memory.

        Raises:
            CommandError: It has another epoch by now, or has lost records.
        """
        now = self._read_state()
        if now.epoch != self.state.epoch or now.length < self.state.length:
            raise CommandError(f"{self.name} was replaced while it was read: start again")

    def size(self) -> int:
        """Returns the bytes that it takes in Redis, by Redis' own account."""
        names = (self._head, self._log, self._centers)
        return sum(self._redis.memory_usage(key, samples=0) or 0 for key in names)

    def _read_state(self) -> State:
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hmget(self._head, ["epoch", "head"])
            pipe.llen(self._log)
            (epoch, head), length = cast("tuple[Any, int]", pipe.execute())
        return State(None if epoch is None else epoch.decode(), (head or b"").decode(), length)
