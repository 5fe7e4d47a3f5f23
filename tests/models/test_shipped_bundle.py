"""The bundles that come with the project: one for each recipe, and what their cards say of them."""

from math import sqrt
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.bundles import ZOO, LoadedBundle, inspect_bundle, load_bundle
from models.clean_images import clean_images
from models.data import load_dataset
from models.data.dataset import LICENCES
from models.data.fashion_mnist import DEBIAN_FOLDER
from models.images import read_image
from models.layout import memory_format
from models.training.measure import accuracy
from smoothing import Gaussian, estimate_statistics, generator_for, with_statistics

THREADS = torch.get_num_threads()
FOLDERS = sorted(card.parent for card in ZOO.glob("*/card.json"))
IMAGES = 1000
PAGE = Path(__file__).parents[2] / "docs" / "models.md"
ACCURACIES = ("clean_accuracy", "noisy_accuracy", "noisy_accuracy_adapted")


@pytest.fixture(autouse=True)
def _all_threads(_one_thread: None) -> None:
    """These networks are large enough to gain from threads."""
    torch.set_num_threads(THREADS)


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Path:
    """A shipped bundle's folder."""
    found: Path = request.param
    return found


@pytest.fixture(scope="module")
def bundle(folder: Path) -> LoadedBundle:
    """What lies in it, in the layout that is fastest here."""
    found = load_bundle(folder)
    found.base_classifier.to(memory_format=memory_format(found.base_classifier, torch.device("cpu")))
    return found


def test_it_verifies(folder: Path) -> None:
    """Files, digests, weights and classes are those of its card."""
    card = inspect_bundle(folder).card
    assert card.name == folder.name
    assert len(card.classes) == 10


def test_it_is_small_enough_for_a_repository(folder: Path) -> None:
    """All of it takes at most 3 MiB."""
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= 3 * 2**20


def test_it_says_how_it_was_made(bundle: LoadedBundle) -> None:
    """The command trains this recipe into this folder, and no folder of somebody's machine is named."""
    command = bundle.card.command or ""
    assert command.startswith(f"radii train {bundle.card.recipe} ")
    assert f"--out models/zoo/{bundle.card.name}" in command
    assert " /" not in command


def test_it_carries_the_licence_of_its_images(folder: Path, bundle: LoadedBundle) -> None:
    """The clean set and examples are copies of Fashion-MNIST images, which may travel with their licence."""
    assert bundle.card.training_data is not None
    licence = (LICENCES / "fashion-mnist.txt").read_text()
    assert (folder / str(bundle.card.training_data.licence_file)).read_text() == licence


def test_it_recognises_its_examples(folder: Path, bundle: LoadedBundle) -> None:
    """At least seven of ten example images are classified right."""
    images = [
        read_image(folder / "examples" / example.file, bundle.card.input_shape)
        for example in bundle.card.examples
    ]
    labels = [example.label for example in bundle.card.examples]
    assert len(images) == 10
    assert right(bundle, np.stack(images), np.array(labels)) >= 7


def test_its_clean_set_is_balanced_and_diverse(folder: Path, bundle: LoadedBundle) -> None:
    """512 different images, 51 or 52 of each class."""
    assert bundle.clean is not None
    assert len(np.unique(bundle.clean, axis=0)) == 512
    with np.load(folder / "clean.npz") as arrays:
        assert set(np.bincount(arrays["labels"]).tolist()) == {51, 52}


@pytest.mark.skipif(not DEBIAN_FOLDER.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_its_accuracy_is_what_the_card_says(bundle: LoadedBundle) -> None:
    """On 1000 real test images, clean, under noise and adapted to it, within three standard errors of it."""
    test = load_dataset("fashion-mnist").test.take(np.arange(IMAGES))
    seen = set()
    for metric in bundle.card.metrics:
        if metric.metric == "epoch":
            continue
        network = bundle.base_classifier
        if metric.metric == "noisy_accuracy_adapted":
            noise, generator = Gaussian(metric.sigma or 0.0), generator_for(0, "adaptation")
            statistics = estimate_statistics(network, clean_images(bundle), noise, generator=generator)
            network = with_statistics(network, statistics).eval()
        with torch.inference_mode():
            measured = accuracy(network, test, sigma=metric.sigma or 0.0)
        error = sqrt(metric.value * (1 - metric.value) / IMAGES)
        assert measured == pytest.approx(metric.value, abs=3 * error), metric.metric
        seen.add(metric.metric)
    assert seen >= {"clean_accuracy", "noisy_accuracy"}


def test_readme_says_of_it_what_the_card_says(bundle: LoadedBundle) -> None:
    """In per cent: clean, under noise, and adapted to it where the card has that."""
    measured = {metric.metric: f"{100 * metric.value:.1f}" for metric in bundle.card.metrics}
    figures = [measured.get(name, "–") for name in ACCURACIES]
    assert f"| `{bundle.card.name}` | {' | '.join(figures)} |\n" in PAGE.read_text()


def right(bundle: LoadedBundle, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> int:
    """Count the images that are classified right."""
    with torch.inference_mode():
        predicted = bundle.base_classifier(torch.from_numpy(images) / 255).argmax(1)
    return int((predicted.numpy() == labels).sum())
