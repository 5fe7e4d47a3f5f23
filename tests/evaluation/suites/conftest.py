"""The bench of the tests of suites."""

from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.plan import EvaluationPlan
from evaluation.subject import Subject, choose_images
from evaluation.suites.suite import Bench
from models.bundles import load_bundle, write_bundle
from models.data import load_dataset
from tests.evaluation.benches import CLASSES, SMALL
from tests.models.support import describe, tiny_network


@pytest.fixture(scope="module")
def bench(synthetic_fashion: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """An untrained network with a clean set, and images of the synthetic test split."""
    dataset = load_dataset("fashion-mnist", synthetic_fashion)
    folder = tmp_path_factory.mktemp("evaluated") / "small"
    write_bundle(
        folder,
        describe(name="small", classes=CLASSES, input_shape=(1, 12, 12)),
        tiny_network(num_classes=10),
        clean=dataset.train.images,
        clean_labels=dataset.train.labels,
    )
    plan = EvaluationPlan.model_validate(SMALL)
    device = torch.device("cpu")
    images = choose_images(dataset.test, plan.images, plan.every)
    unseen = choose_images(dataset.test.take(np.arange(12, 20)), 8, 1)
    return Bench(plan, [Subject(load_bundle(folder), device)], images, unseen, CLASSES)
