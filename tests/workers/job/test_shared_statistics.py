"""Statistics that all workers share."""

import threading

import pytest
import torch
from redis import Redis

from certifier import AdaptationLaw
from certifier.adaptation import estimate, shared_statistics
from contract import keys
from models.bundles import ZOO, LoadedBundle, load_bundle
from smoothing import Gaussian, Statistics
from workers.job.shared_statistics import SharedStatistics

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

        used.append(shared_statistics(SharedStatistics(redis), "digest", LAW, estimated).digest)

    workers = [threading.Thread(target=worker, args=(float(number),)) for number in range(8)]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    assert len(set(used)) == 1
    assert (
        shared_statistics(SharedStatistics(redis), "digest", LAW, lambda: statistics(99.0)).digest == used[0]
    )


def test_statistics_survive_the_store_bit_by_bit(redis: Redis, bundle: LoadedBundle) -> None:
    """What is read back is what was estimated, to the last bit."""
    own = estimate(bundle, LAW, torch.device("cpu"))
    first = shared_statistics(SharedStatistics(redis), bundle.digest, LAW, lambda: own)
    second = shared_statistics(SharedStatistics(redis), bundle.digest, LAW, lambda: statistics(0.0))
    assert own.digest == first.digest == second.digest
    assert 0 < redis.ttl(keys.statistics(bundle.digest, LAW.name)) <= 2_592_000
