"""Memories of certified regions written by hand, as workers write them."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

from redis import Redis

from contract import keys
from contract.keys import pixel_digest
from contract.regions import StoredRegion

DIGEST = "ab" * 32
EPOCH = "e0" * 16


class Log:
    """One memory of images of one row, and what is written to it."""

    def __init__(
        self, redis: Redis, namespace: str = "default", digest: str = DIGEST, epoch: str | None = EPOCH
    ) -> None:
        self._redis = redis
        self._numbers = count()
        self.namespace = namespace
        self.head_key = keys.memory_head(digest, namespace)
        self.log_key = keys.memory_log(digest, namespace)
        self.centers_key = keys.memory_centers(digest, namespace)
        self.head = ""
        self.records: list[bytes] = []
        if epoch is not None:
            redis.hset(self.head_key, "epoch", epoch)

    def add(
        self, label: int, pixels: Sequence[int], l2: float = 0.0, l1: float = 0.0, **fields: Any
    ) -> StoredRegion:
        """Commits a region."""
        content = bytes(pixels)
        region = StoredRegion.model_validate(
            {
                "certificate_id": f"{self.namespace}{next(self._numbers):024x}",
                "image_digest": pixel_digest(content, 1, len(content), 1),
                "label": label,
                "l2": l2,
                "l1": l1,
                "outcome": "added",
                "question": "9" * 64,
                "created_at": datetime(2030, 1, 2, tzinfo=UTC),
            }
            | fields
        )
        self._redis.hset(self.centers_key, region.image_digest, content)
        self.append(region.model_dump_json().encode())
        return region

    def append(self, record: bytes) -> None:
        """Appends a record to the log and to the chain."""
        self.records.append(record)
        self.head = hashlib.sha1(self.head.encode() + record, usedforsecurity=False).hexdigest()
        self._redis.rpush(self.log_key, record)
        self._redis.hset(self.head_key, "head", self.head)
