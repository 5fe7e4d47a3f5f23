"""The sizes of memories."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from redis import Redis

from contract.models import ModelInfo
from contract.regions import StoredRegion
from radii.memory.reading import MemoryLog, MemoryName, State


@dataclass(frozen=True)
class Measured:
    """The figures of one memory.

    Attributes:
        name: Which memory.
        model: Its model, if an engine was heard of lately that holds it.
        state: Epoch and number of regions.
        size: Bytes in Redis.
        labels: Regions by label; None if they were not counted. Records that cannot be read count as -1.
    """

    name: MemoryName
    model: ModelInfo | None
    state: State
    size: int
    labels: dict[int, int] | None

    @property
    def size_of_region(self) -> float:
        """Bytes for each region; 0 if there is none."""
        return self.size / self.state.length if self.state.length else 0.0

    def as_json(self) -> dict[str, Any]:
        """Returns the figures for a program."""
        return {
            "model": self.model and self.model.name,
            "model_digest": self.name.model_digest,
            "memory": self.name.namespace,
            "epoch": self.state.epoch,
            "regions": self.state.length,
            "labels": [
                {"index": label, "name": self._class(label), "regions": count}
                for label, count in sorted((self.labels or {}).items())
            ],
            "bytes": self.size,
            "bytes_per_region": round(self.size_of_region, 1),
        }

    def _class(self, label: int) -> str | None:
        known = self.model is not None and label in range(len(self.model.classes))
        return self.model.classes[label] if self.model is not None and known else None


def measure(redis: Redis, name: MemoryName, *, labels: bool) -> Measured:
    """Measures one memory; counting labels reads all of it."""
    log = MemoryLog(redis, name)
    counted = dict(Counter(map(_label, log.records()))) if labels else None
    return Measured(name, _known_models(redis).get(name.model_digest), log.state, log.size(), counted)


def _label(record: bytes) -> int:
    try:
        return StoredRegion.model_validate_json(record).label
    except ValidationError:
        return -1


def _known_models(redis: Redis) -> dict[str, ModelInfo]:
    """What the engines hold, by digest; an engine of another release may say what we do not understand."""
    from service.jobs.catalogue import read_catalogue

    try:
        models = read_catalogue(redis, None).models.values()
    except ValidationError:
        return {}
    return {model.digest: model for model in models}
