"""Statistics that all workers share, votes that outlive a crash, and deadlines."""

import json
import threading
import time

import pytest
import torch
from redis import Redis

from contract import keys
from contract.certificates import SigmaTrial
from models.bundles import ZOO, LoadedBundle, load_bundle
from models.clean_images import clean_images
from smoothing import Gaussian, Segment, Statistics, Uniform, Votes
from workers.job.checkpoint import Checkpoint, Record, Setting
from workers.job.deadline import Deadline
from workers.job.statistics import AdaptationLaw, estimate, shared_statistics

LAW = AdaptationLaw(Gaussian(0.5), momentum=1.0, clean_size=32)


@pytest.fixture(scope="module")
def bundle() -> LoadedBundle:
    return load_bundle(ZOO / "fashion-mnist-gaussian")


def statistics(value: float) -> Statistics:
    return Statistics({"bn.running_mean": torch.full((2,), value), "bn.running_var": torch.ones(2)})


def test_whoever_publishes_first_decides_for_all(redis: Redis) -> None:
    """Also for a worker that had already estimated others itself."""
    used: list[str] = []
    barrier = threading.Barrier(8)

    def worker(value: float) -> None:
        def estimated() -> Statistics:
            barrier.wait()  # all of them found nothing, and all of them estimate
            return statistics(value)

        used.append(shared_statistics(redis, "digest", LAW, estimated).digest)

    workers = [threading.Thread(target=worker, args=(float(number),)) for number in range(8)]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    assert len(set(used)) == 1
    assert shared_statistics(redis, "digest", LAW, lambda: statistics(99.0)).digest == used[0]


def test_statistics_survive_the_store_bit_by_bit(redis: Redis, bundle: LoadedBundle) -> None:
    """What is read back is what was estimated, to the last bit."""
    own = estimate(bundle, LAW, torch.device("cpu"))
    first = shared_statistics(redis, bundle.digest, LAW, lambda: own)
    second = shared_statistics(redis, bundle.digest, LAW, lambda: statistics(0.0))
    assert own.digest == first.digest == second.digest
    assert 0 < redis.ttl(keys.statistics(bundle.digest, LAW.name)) <= 2_592_000


@pytest.mark.parametrize(
    "other",
    [
        AdaptationLaw(Gaussian(0.25), 1.0, 32),
        AdaptationLaw(Uniform(0.5), 1.0, 32),
        AdaptationLaw(Gaussian(0.5), 0.5, 32),
        AdaptationLaw(Gaussian(0.5), 1.0, 33),
    ],
)
def test_whatever_changes_statistics_changes_their_name(bundle: LoadedBundle, other: AdaptationLaw) -> None:
    """Noise, level, weight and size; and the statistics do differ."""
    assert other.name != LAW.name
    cpu = torch.device("cpu")
    assert estimate(bundle, other, cpu).digest != estimate(bundle, LAW, cpu).digest


def test_clean_images_are_spread_over_a_sorted_clean_set(bundle: LoadedBundle) -> None:
    """The first ones alone might be all of one class."""
    assert bundle.clean is not None
    images = clean_images(bundle, 2)
    ends = torch.from_numpy(bundle.clean[[0, -1]]).float() / 255
    assert torch.equal(images, ends)
    assert len(clean_images(bundle, 10**6)) == len(bundle.clean)


def a_record(sigma: float = 0.5) -> Record:
    import numpy as np

    votes = Votes(
        selection_counts=np.array([90, 10]),
        counts=np.array([900, 100]),
        best_counts=None,
        best_look_alpha=None,
        selection_segments=(Segment("selection", 100, 50),),
        segments=(Segment("estimation", 1000, 50),),
    )
    trial = SigmaTrial(sigma=sigma, certifies=True, proxy_radius=0.25, n=1000)
    return Record(Setting(sigma, 100, 2000, "d" * 64, "openvino", "cpu", "int8"), (trial,), votes)


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
    assert Deadline(0.1, spent=second.seconds).passed
    assert not Deadline(None, spent=second.seconds).passed
    assert 60 <= Deadline(100.0, spent=20.0).votes(1000, least=1, rate=1.0) <= 64


def test_a_part_of_a_deadline_ends_before_it() -> None:
    """By its share of what is left."""
    assert 28 <= Deadline(100.0).part(0.36).votes(1000, least=1, rate=1.0) <= 29
    assert Deadline(0.0).part(0.5).passed
    assert not Deadline(None).part(0.5).passed


def test_votes_are_not_written_at_every_batch(redis: Redis) -> None:
    """Once in half a second."""
    checkpoint = Checkpoint(redis, "b" * 32)
    checkpoint.write("gaussian", a_record(), now=True)
    checkpoint.write("gaussian", a_record(0.75))
    stored = Checkpoint(redis, "b" * 32).read("gaussian")
    assert stored is not None
    assert stored.setting.sigma == 0.5


def test_a_deadline_plans_votes_that_fit() -> None:
    """From time and rate alone; never fewer than can certify anything, never more than were wanted."""
    assert Deadline(None).votes(1000, least=10, rate=1.0) == 1000
    assert not Deadline(None).passed
    assert 700 <= Deadline(1.0).votes(10_000, least=10, rate=1000.0) <= 800
    assert 350 <= Deadline(1.0).votes(10_000, least=10, rate=1000.0, share=0.5) <= 400
    assert Deadline(1.0).votes(100, least=10, rate=1000.0) == 100
    late = Deadline(0.001)
    time.sleep(0.002)
    assert late.passed
    assert late.votes(1000, least=10, rate=1000.0) == 10
