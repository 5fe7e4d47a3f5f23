"""Votes and working time that outlive a crash."""

import json
import time

import numpy as np
import pytest
from redis import Redis

from certifier import Record, VoteSetting
from certifier.time_budget import TimeBudget
from contract import keys
from contract.certificates import SigmaTrial
from smoothing.votes import Segment, Votes
from workers.job.checkpoint import Checkpoint


def a_record(sigma: float = 0.5) -> Record:
    votes = Votes(
        selection_counts=np.array([90, 10]),
        counts=np.array([900, 100]),
        best_counts=None,
        best_look_alpha=None,
        selection_segments=(Segment("selection", 100, 50),),
        segments=(Segment("estimation", 1000, 50),),
    )
    trial = SigmaTrial(sigma=sigma, certifies=True, proxy_radius=0.25, n=1000)
    return Record(VoteSetting(sigma, 100, 2000, "d" * 64, "openvino", "cpu", "int8"), (trial,), votes)


def test_votes_survive_a_crash(redis: Redis) -> None:
    """Another process reads what this one wrote, noise by noise."""
    written = Checkpoint(redis, "a" * 32)
    written.write("gaussian", a_record(), now=True)
    written.write("uniform", a_record(0.25), now=True)
    read = Checkpoint(redis, "a" * 32)
    for name, sigma in (("gaussian", 0.5), ("uniform", 0.25)):
        record = read.read(name)
        assert record is not None
        assert record.votes is not None
        assert record.setting == a_record(sigma).setting
        assert record.trials == a_record(sigma).trials
        assert record.votes.to_json() == a_record().votes.to_json()  # type: ignore[union-attr]
    assert read.read("other") is None
    read.clear()
    assert Checkpoint(redis, "a" * 32).read("gaussian") is None


@pytest.mark.parametrize(
    "content",
    [
        {"gaussian": {"setting": {"sigma": 0.5, "backend": "eager"}, "trials": [], "votes": None}},
        {"version": 99, "noises": {"gaussian": "whatever it will be"}},
    ],
)
def test_votes_of_another_release_count_as_none(redis: Redis, content: dict[str, object]) -> None:
    """Earlier ones said nothing of the device: they are made anew, and the job does not fail."""
    redis.set(keys.votes("c" * 32), json.dumps(content))
    checkpoint = Checkpoint(redis, "c" * 32)
    assert checkpoint.read("gaussian") is None
    assert checkpoint.seconds == 0.0


def test_a_deadline_is_one_for_all_attempts(redis: Redis) -> None:
    """What a lost attempt worked is not given again."""
    first = Checkpoint(redis, "d" * 32)
    time.sleep(0.2)
    first.write("gaussian", a_record(), now=True)
    second = Checkpoint(redis, "d" * 32)
    assert second.seconds >= 0.2
    second.write("gaussian", a_record(), now=True)
    assert Checkpoint(redis, "d" * 32).seconds >= second.seconds
    assert TimeBudget(0.1, spent=second.seconds).is_spent
    assert not TimeBudget(None, spent=second.seconds).is_spent
    assert 60 <= TimeBudget(100.0, spent=20.0).votes(1000, least=1, rate=1.0) <= 64


def test_votes_are_not_written_at_every_batch(redis: Redis) -> None:
    """Once in half a second."""
    checkpoint = Checkpoint(redis, "b" * 32)
    checkpoint.write("gaussian", a_record(), now=True)
    checkpoint.write("gaussian", a_record(0.75))
    stored = Checkpoint(redis, "b" * 32).read("gaussian")
    assert stored is not None
    assert stored.setting.sigma == 0.5
