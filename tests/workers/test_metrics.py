"""What workers count: added up in Redis, whoever counts, and never a reason for a job to fail."""

import threading

from redis import Redis

from contract import keys
from contract.metrics import COMPUTE_SECONDS, FAMILIES, VOTES, read_field
from workers.metrics import WorkerMetrics
from workers.process.connections import connect


def counted(redis: Redis, field: str) -> float:
    value = redis.hget(keys.METRICS, field)
    return float(value) if value else 0.0  # type: ignore[arg-type]


def test_counts_of_many_processes_add_up(redis: Redis, redis_url: str) -> None:
    """Nothing is read and written back."""

    def count() -> None:
        metrics = WorkerMetrics()
        with connect(redis_url) as own:
            for _ in range(50):
                metrics.add(VOTES, "toy", by=1100)
                metrics.observe(COMPUTE_SECONDS, 0.75, "toy")
                metrics.publish(own)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted(redis, VOTES.field("toy")) == 4 * 50 * 1100
    assert counted(redis, COMPUTE_SECONDS.field("toy", "1")) == 200
    assert counted(redis, COMPUTE_SECONDS.field("toy", "sum")) == 150


def test_a_store_that_is_away_is_no_failure(redis: Redis, redis_url: str) -> None:
    """What could not be counted is not counted later either: it may have been."""
    metrics = WorkerMetrics()
    metrics.add(VOTES, "toy")
    metrics.publish(Redis(port=1))
    with connect(redis_url) as own:
        metrics.publish(own)
    assert not redis.exists(keys.METRICS)


def test_a_bucket_holds_what_is_not_above_it() -> None:
    """As Prometheus reads `le`."""
    for value, bucket in ((0.01, "0.01"), (0.0100001, "0.025"), (1.0, "1"), (3601.0, "+Inf")):
        assert COMPUTE_SECONDS.field("toy", bucket) in COMPUTE_SECONDS.fields(value, "toy")


def test_fields_are_read_as_they_are_written() -> None:
    """Those of another release are left out."""
    for family in FAMILIES.values():
        labels = tuple(f'"{name}:é' for name in family.labels)
        if family.buckets:
            labels = (*labels, "+Inf")
        assert read_field(family.field(*labels)) == (family, labels)
    assert read_field('["radii_of_tomorrow", "x"]') is None
    assert read_field('["radii_votes", "x", "y"]') is None
