"""The sizes of memories."""

from collections import Counter
from dataclasses import dataclass

from pydantic import ValidationError
from redis import Redis

from contract.models import ModelInfo
from contract.regions import StoredRegion
from contract.settings import ProcessSettings
from radii.memory.reading import MemoryLog, MemoryName


@dataclass(frozen=True)
class LabelCount:
    """The regions of one label; the index is -1 for records that cannot be read."""

    index: int
    name: str | None
    regions: int


@dataclass(frozen=True)
class Measured:
    """The figures of one memory, as the command prints them in JSON.

    Attributes:
        model: Name of its model, if an engine was heard of lately that holds it.
        regions: Number of regions.
        labels: Regions by label; empty if they were not counted.
        bytes: Its size in Redis.
    """

    model: str | None
    model_digest: str
    memory: str
    epoch: str | None
    regions: int
    labels: list[LabelCount]
    bytes: int
    bytes_per_region: float


def measure(redis: Redis, name: MemoryName, *, labels: bool) -> Measured:
    """Measures one memory; counting labels reads all of it."""
    log = MemoryLog(redis, name)
    model = _known_models(redis).get(name.model_digest)
    classes = dict(enumerate(model.classes)) if model else {}
    counted = Counter(map(_label, log.records())) if labels else {}
    size, regions = log.size(), log.state.length
    return Measured(
        model=model.name if model else None,
        model_digest=name.model_digest,
        memory=name.namespace,
        epoch=log.state.epoch,
        regions=regions,
        labels=[LabelCount(label, classes.get(label), count) for label, count in sorted(counted.items())],
        bytes=size,
        bytes_per_region=round(size / regions, 1) if regions else 0.0,
    )


def _label(record: bytes) -> int:
    try:
        return StoredRegion.model_validate_json(record).label
    except ValidationError:
        return -1


def _known_models(redis: Redis) -> dict[str, ModelInfo]:
    """What the engines hold, by digest; an engine of another release may say what we do not understand."""
    from service.jobs.catalogue import read_catalogue

    timing = ProcessSettings().timing
    try:
        models = read_catalogue(redis, None, timing).models.values()
    except ValidationError:
        return {}
    return {model.digest: model for model in models}
