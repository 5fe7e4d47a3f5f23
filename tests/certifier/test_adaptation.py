"""Batch-norm statistics under a noise: named by what decides them, and shared by a store."""

import pytest
import torch

from certifier import AdaptationLaw, StatisticsHere
from certifier.adaptation import adaptation_law, estimate, shared_statistics
from models.bundles import ZOO, LoadedBundle, load_bundle
from models.clean_images import clean_images
from smoothing import Gaussian, Statistics, Uniform
from tests.support.tasks import certify_task

LAW = AdaptationLaw(Gaussian(0.5), momentum=1.0, clean_size=32)


@pytest.fixture(scope="module")
def bundle() -> LoadedBundle:
    return load_bundle(ZOO / "fashion-mnist-gaussian")


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


def test_a_question_decides_the_law() -> None:
    """By its noise, weight and clean images; without adaptation there is none."""
    resolved = certify_task(adapt=True, momentum=0.7, clean_size=32).question.resolved
    assert adaptation_law(resolved, Gaussian(0.5)) == AdaptationLaw(Gaussian(0.5), 0.7, 32)
    assert adaptation_law(certify_task(adapt=False).question.resolved, Gaussian(0.5)) is None


def test_the_first_statistics_stay() -> None:
    """In one process as in a deployment; other models and laws have their own."""
    store, made = StatisticsHere(), []

    def statistics() -> Statistics:
        made.append(float(len(made)))
        return Statistics({"bn.running_mean": torch.full((2,), made[-1]), "bn.running_var": torch.ones(2)})

    first = shared_statistics(store, "digest", LAW, statistics)
    assert shared_statistics(store, "digest", LAW, statistics).digest == first.digest
    assert shared_statistics(store, "another", LAW, statistics).digest != first.digest
    assert made == [0.0, 1.0]
