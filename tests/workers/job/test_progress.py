"""What happens between two batches."""

from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import pytest
from redis import Redis

from contract import keys
from contract.certificates import Radius
from contract.choices import Stage
from contract.jobs import Progress
from workers.failures import Abandoned, Superseded
from workers.job.progress import JobProgress

JOB = "b" * 32


@pytest.fixture
def ends() -> Iterator[tuple[Connection, Connection]]:
    """The engine's end and the relay's."""
    engine, relay = Pipe()
    yield engine, relay
    engine.close()
    relay.close()


def written(redis: Redis) -> list[Progress]:
    """The events of the job."""
    return [Progress.model_validate_json(fields[b"progress"]) for _, fields in redis.xrange(keys.events(JOB))]


def test_progress_is_throttled_but_a_larger_radius_is_told_at_once(
    redis: Redis, ends: tuple[Connection, Connection]
) -> None:
    """A thousand quick batches write little; each larger radius is an event of its own."""
    progress = JobProgress(redis, JOB, ends[0])
    progress.stage(Stage.SAMPLING, total=1000)
    for completed in range(1, 1001):
        progress.advance(completed)
    assert len(written(redis)) < 20
    progress.stated = lambda label, radius: radius.l2
    for l2 in (0.25, 0.25, 0.5):
        progress.look(1000, 3, Radius(l2=l2, l1=l2, linf=0.01))
    assert [event.radius_so_far for event in written(redis)][-2:] == [0.25, 0.5]


def test_a_relay_that_is_gone_ends_the_work(redis: Redis, ends: tuple[Connection, Connection]) -> None:
    """RQ killed it: cancelled, or out of time."""
    progress = JobProgress(redis, JOB, ends[0])
    progress.advance(1)
    ends[1].close()
    with pytest.raises(Abandoned):
        progress.advance(2)


def test_the_cancel_flag_ends_the_work_even_if_the_kill_was_lost(
    redis: Redis, ends: tuple[Connection, Connection]
) -> None:
    """RQ's stop command travels by pub/sub, which a reconnecting worker misses."""
    progress = JobProgress(redis, JOB, ends[0])
    redis.set(keys.cancel(JOB), 1)
    with pytest.raises(Abandoned):
        progress.stage(Stage.SAMPLING, total=10)


def test_a_later_attempt_ends_the_work(redis: Redis, ends: tuple[Connection, Connection]) -> None:
    """The engine is free for other jobs, instead of making votes that nobody will take."""
    progress = JobProgress(redis, JOB, ends[0], attempt=1)
    redis.set(keys.attempt(JOB), 1)
    progress.stage(Stage.SAMPLING, total=10)
    redis.incr(keys.attempt(JOB))
    with pytest.raises(Superseded):
        progress.stage(Stage.SAMPLING, total=10)
    assert len(written(redis)) == 1
