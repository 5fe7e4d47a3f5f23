"""Bundles and data sets that the tests of ``models`` share."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from models.bundles import ExampleImage, LoadedBundle, load_bundle, write_bundle
from tests.models.support import SHIPPED, describe, grey_images, tiny_network, write_synthetic_fashion


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small gain nothing from threads, which wait for each other on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tiny_bundle(tmp_path: Path) -> Path:
    """A bundle of a tiny network with clean images and one example."""
    images = grey_images(6)
    folder = tmp_path / "tiny"
    write_bundle(
        folder,
        describe(),
        tiny_network(),
        clean=images,
        clean_labels=np.arange(6, dtype=np.int64) % 3,
        examples=[ExampleImage(images[0], label=2, index=17)],
    )
    return folder


@pytest.fixture(scope="session")
def shipped() -> LoadedBundle:
    """The bundle that comes with the project."""
    return load_bundle(SHIPPED)


@pytest.fixture(scope="session")
def synthetic_fashion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The four files of Fashion-MNIST with 48 + 20 images of 12×12, whose brightness is the class."""
    return write_synthetic_fashion(tmp_path_factory.mktemp("fashion"))
