"""The bundle that comes with the project."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.bundles import LoadedBundle, verify_bundle
from models.data import load_dataset
from models.data.fashion_mnist import DEBIAN_FOLDER, LICENCE_TEXT
from models.images import read_image
from models.training.measure import accuracy
from tests.models.support import SHIPPED


def test_it_verifies() -> None:
    """Files, digests, weights and classes are those of its card."""
    card = verify_bundle(SHIPPED)
    assert card.name == SHIPPED.name
    assert len(card.classes) == 10


def test_it_is_small_enough_for_a_repository() -> None:
    """Weights take at most 3 MB."""
    assert (SHIPPED / "weights.safetensors").stat().st_size <= 3_000_000


def test_it_carries_the_licence_of_its_images(shipped: LoadedBundle) -> None:
    """The clean set and examples are copies of Fashion-MNIST images, which may travel with their licence."""
    assert shipped.card.training_data is not None
    assert (SHIPPED / str(shipped.card.training_data.licence_file)).read_text() == LICENCE_TEXT


def test_it_recognises_its_examples(shipped: LoadedBundle) -> None:
    """At least eight of ten example images are classified right."""
    images = [
        read_image(SHIPPED / "examples" / example.file, shipped.card.input_shape)
        for example in shipped.card.examples
    ]
    labels = [example.label for example in shipped.card.examples]
    assert len(images) == 10
    assert right(shipped, np.stack(images), np.array(labels)) >= 8


def test_its_clean_set_is_balanced_and_diverse(shipped: LoadedBundle) -> None:
    """512 different images, 51 or 52 of each class."""
    assert shipped.clean is not None
    assert len(np.unique(shipped.clean, axis=0)) == 512
    with np.load(SHIPPED / "clean.npz") as arrays:
        assert set(np.bincount(arrays["labels"]).tolist()) == {51, 52}


@pytest.mark.skipif(not DEBIAN_FOLDER.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_its_accuracy_is_what_the_card_says(shipped: LoadedBundle) -> None:
    """On 1000 real test images, clean and under noise, within three standard errors of the card's numbers."""
    test = load_dataset("fashion-mnist").test.take(np.arange(1000))
    for metric in shipped.card.metrics:
        measured = accuracy(shipped.base_classifier, test, sigma=metric.sigma or 0.0)
        assert measured == pytest.approx(metric.value, abs=3 * np.sqrt(0.25 / 1000)), metric.metric
        assert metric.value > 0.84


def right(bundle: LoadedBundle, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> int:
    """Count the images that are classified right."""
    with torch.inference_mode():
        predicted = bundle.base_classifier(torch.from_numpy(images) / 255).argmax(1)
    return int((predicted.numpy() == labels).sum())
