"""The one write that makes an answer true."""

import pytest
from redis import Redis

from contract import keys
from contract.choices import Stage
from contract.jobs import Progress
from workers.memory import commit as committing
from workers.memory.commit import CommitOutcome, commit, is_committed
from workers.process.connections import connect

JOB = "a" * 32


@pytest.fixture
def store(redis_url: str) -> Redis:
    """A client as the engine has it."""
    return connect(redis_url, one_connection=True)


def test_an_answer_is_stored_with_its_last_event(store: Redis) -> None:
    """Both or neither."""
    progress = Progress(stage=Stage.SAMPLING, completed=9, total=9, radius_so_far=0.5)
    assert commit(store, JOB, keys.certificate(JOB), "{}", progress) is CommitOutcome.OK
    assert store.get(keys.certificate(JOB)) == b"{}"
    assert store.ttl(keys.certificate(JOB)) > 0
    ((_, fields),) = store.xrange(keys.events(JOB))
    assert Progress.model_validate_json(fields[b"progress"]) == progress.model_copy(
        update={"stage": Stage.DONE}
    )


def test_a_second_answer_changes_nothing(store: Redis) -> None:
    """An attempt that crashed after its commit is repeated; the first answer stands."""
    for text in ("first", "second"):
        outcome = commit(store, JOB, keys.certificate(JOB), text, Progress(stage=Stage.SAMPLING))
    assert outcome is CommitOutcome.DUPLICATE
    assert store.get(keys.certificate(JOB)) == b"first"
    assert store.xlen(keys.events(JOB)) == 1


def test_a_cancelled_job_gets_no_answer(store: Redis) -> None:
    """Cancelled and answered can never both be true."""
    store.set(keys.cancel(JOB), 1)
    outcome = commit(store, JOB, keys.certificate(JOB), "{}", Progress(stage=Stage.SAMPLING))
    assert outcome is CommitOutcome.CANCELLED
    assert not store.exists(keys.certificate(JOB))


def test_a_failed_job_gets_no_answer(store: Redis) -> None:
    """Whoever read that it failed must not find an answer later."""
    store.set(keys.problem(JOB), "{}")
    outcome = commit(store, JOB, keys.certificate(JOB), "{}", Progress(stage=Stage.SAMPLING))
    assert outcome is CommitOutcome.FAILED
    assert not store.exists(keys.certificate(JOB))


def test_only_the_latest_attempt_may_commit(store: Redis) -> None:
    """A worker that was given up for lost, and is not, comes back after another has begun."""
    store.set(keys.attempt(JOB), 2)
    key, progress = keys.certificate(JOB), Progress(stage=Stage.SAMPLING)
    assert commit(store, JOB, key, "first", progress, attempt=1) is CommitOutcome.STALE
    assert not store.exists(key)
    assert commit(store, JOB, key, "second", progress, attempt=2) is CommitOutcome.OK
    assert commit(store, JOB, key, "first", progress, attempt=1) is CommitOutcome.DUPLICATE
    assert store.get(key) == b"second"


def test_a_server_that_keeps_no_file_is_served_too(store: Redis) -> None:
    """Then the answer is as durable as the queue."""
    store.config_set("appendonly", "no")
    try:
        assert (
            commit(store, JOB, keys.certificate(JOB), "{}", Progress(stage=Stage.SAMPLING))
            is CommitOutcome.OK
        )
    finally:
        store.config_set("appendonly", "yes")


def test_an_answer_that_is_there_is_waited_for_like_a_new_one(
    redis: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt that stored it may have died before it was on disk, and another client may have stored it."""
    key = keys.certificate(JOB)
    monkeypatch.setattr(committing, "_DISK_SECONDS", 1)
    redis.config_set("appendfsync", "no")  # nothing is known to be on disk before the system says so
    try:
        redis.set(key, "first")
        with connect(redis_url, one_connection=True) as later, pytest.raises(TimeoutError, match="disk"):
            is_committed(later, key)
        with connect(redis_url, one_connection=True) as later, pytest.raises(TimeoutError, match="disk"):
            commit(later, JOB, key, "second", Progress(stage=Stage.SAMPLING))
    finally:
        redis.config_set("appendfsync", "everysec")
    with connect(redis_url, one_connection=True) as later:
        assert is_committed(later, key)
        assert not is_committed(later, keys.prediction(JOB))
    assert redis.get(key) == b"first"
