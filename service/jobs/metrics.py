"""Prometheus metrics of workers, queue and memories, read from Redis at each scrape. It only reads."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from redis import Redis, RedisError

from contract import keys
from contract.metrics import FAMILIES, Family, read_field
from contract.settings import Timing
from service.jobs.catalogue import Heartbeat, read_heartbeats, ready_models
from service.jobs.queue import read_sizes

_MEMORIES: Final = 32  # the largest ones: clients can create any number, and each is two series
_Values = Mapping[tuple[str, ...], float]


class StoreCollector(Collector):
    """Reads Redis once per scrape; every API process exports the same values."""

    def __init__(self, redis: Redis, timing: Timing) -> None:
        self._redis = redis
        self._timing = timing

    def collect(self) -> Iterator[Metric]:
        """Yields all metrics, or only `radii_redis_up` 0."""
        found: list[Metric] = []
        try:
            found += _queue(self._redis)
            found += _counted(self._redis)
            beats = [beat for beat in read_heartbeats(self._redis, self._timing) if beat.alive]
            found += _engines(beats)
            found += _memories(self._redis, beats)
        except RedisError:
            found = []
        yield GaugeMetricFamily(
            "radii_redis_up", "1 if Redis answered this scrape.", value=float(bool(found))
        )
        yield from found


def _queue(redis: Redis) -> Iterator[Metric]:
    state = read_sizes(redis)
    yield GaugeMetricFamily("radii_queue_jobs", "Jobs that wait for a worker.", value=state.waiting)
    yield GaugeMetricFamily("radii_running_jobs", "Jobs that workers have begun.", value=state.running)
    yield GaugeMetricFamily(
        "radii_taken_jobs", "Jobs taken off the queue and not begun: more than a moment means a dead worker.",
        value=state.taken,
    )  # fmt: skip
    yield GaugeMetricFamily(
        "radii_queue_oldest_seconds", "Age of the job that has waited longest; 0 if none waits.",
        value=state.oldest_seconds,
    )  # fmt: skip


def _counted(redis: Redis) -> Iterator[Metric]:
    stored = cast("dict[bytes, bytes]", redis.hgetall(keys.METRICS))
    values: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
    for field, value in stored.items():
        read = read_field(field.decode())
        if read is not None:
            values[read[0].name][read[1]] = float(value)
    for family in FAMILIES.values():
        yield (
            _histogram(family, values[family.name])
            if family.buckets
            else _counter(family, values[family.name])
        )


def _counter(family: Family, values: _Values) -> Metric:
    metric = CounterMetricFamily(family.name, family.help, labels=family.labels)
    if not family.labels:
        values = {(): 0.0, **values}
    for labels, value in sorted(values.items()):
        metric.add_metric(labels, value)
    return metric


def _gauge(name: str, meaning: str, labels: list[str], values: Mapping[Any, float]) -> Metric:
    metric = GaugeMetricFamily(name, meaning, labels=labels)
    for place, value in values.items():
        metric.add_metric(place, value)
    return metric


def _histogram(family: Family, values: _Values) -> Metric:
    metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    for labels in sorted({labels[:-1] for labels in values}):
        total, buckets = 0.0, []
        for bound in (*map(str, family.buckets), "+Inf"):
            total += values.get((*labels, bound), 0.0)
            buckets.append((bound, total))
        metric.add_metric(labels, buckets, sum_value=values.get((*labels, "sum"), 0.0))
    return metric


def _engines(beats: list[Heartbeat]) -> Iterator[Metric]:
    yield GaugeMetricFamily("radii_engines_alive", "Engines that reported recently.", value=len(beats))
    ready = {(name,): float(is_ready) for name, is_ready in ready_models(beats).items()}
    yield _gauge("radii_model_ready", "1 if an engine can serve the model.", ["model"], ready)
    statuses = [beat.status for beat in reversed(beats)]  # the most recent report wins
    resident = {(one.engine_id, one.host): one.resident_bytes for one in statuses if one.resident_bytes}
    device = {(one.engine_id, one.host): one.device_bytes for one in statuses if one.device_bytes}
    rates = {(name,): rate for one in statuses for name, rate in one.votes_per_second.items()}
    engine = ["engine", "host"]
    yield _gauge("radii_engine_resident_bytes", "Main memory of an engine.", engine, resident)
    yield _gauge("radii_engine_device_bytes", "GPU memory that an engine has reserved.", engine, device)
    yield _gauge("radii_votes_per_second", "Speed of the last answer that needed votes.", ["model"], rates)


def _memories(redis: Redis, beats: list[Heartbeat]) -> Iterator[Metric]:
    """The memories that engines report using. Finding all of them would need a scan over all keys."""
    named = {
        (memory.model, memory.model_digest, memory.namespace)
        for beat in beats
        for memory in beat.status.memories
    }
    with redis.pipeline(transaction=False) as pipeline:
        for _, digest, namespace in sorted(named):
            pipeline.llen(keys.memory_log(digest, namespace))
            for key in (keys.memory_head, keys.memory_log, keys.memory_centers):
                pipeline.memory_usage(key(digest, namespace))
        replies: list[Any] = pipeline.execute(raise_on_error=False)
    sizes = []
    for place, (model, _, namespace) in enumerate(sorted(named)):
        regions, *taken = (_number(reply) for reply in replies[4 * place : 4 * place + 4])
        sizes.append((regions, sum(taken), model, namespace))
    largest = sorted(sizes, reverse=True)[:_MEMORIES]
    labels = ["model", "memory"]
    yield _gauge(
        "radii_memory_regions", "Certified regions, of the largest memories.", labels,
        {(model, namespace): regions for regions, _, model, namespace in largest},
    )  # fmt: skip
    yield _gauge(
        "radii_memory_bytes", "What these memories take in Redis, estimated by it.", labels,
        {(model, namespace): size for _, size, model, namespace in largest},
    )  # fmt: skip


def _number(reply: Any) -> float:
    """A reply that is an error counts as 0: some servers forbid MEMORY USAGE."""
    return float(reply) if isinstance(reply, int) and math.isfinite(reply) else 0.0
