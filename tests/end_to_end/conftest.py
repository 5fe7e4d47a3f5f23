"""The real stack: embedded Valkey, API, two workers, and the bundles that they serve."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from models.training.recipes import RECIPES
from tests.models.support import write_synthetic_fashion
from tests.support import networks
from tests.support.bundles import make_bundle
from tests.support.command_line import radii
from tests.support.service import Service
from tests.support.stack import open_stack, settings


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a user made: torchvision's ResNet-18 at random, modules of their own, a network by each recipe."""
    folder = tmp_path_factory.mktemp("bundles")
    weights = folder / "theirs.pth"
    torch.save(networks.small(hidden=5).state_dict(), weights)
    make_bundle(folder / "theirs", "small", ("cat", "dog", "bird"), arguments={"hidden": 5}, weights=weights)
    make_bundle(folder / "by-noise", "Roughness")
    ran = radii(
        "bundle", "create", str(folder / "resnet"), "--from", "torchvision:resnet18", "--classes", "7",
        "--input-shape", "3x64x64", "--resize", "72", "--n", "200",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    data = write_synthetic_fashion(tmp_path_factory.mktemp("data"))
    for recipe in RECIPES:
        train_briefly(recipe, data, folder / f"trained-{recipe}")
    return folder


def train_briefly(recipe: str, data: Path, out: Path) -> None:
    """Trains a tiny network for two steps by the command line, in this process."""
    ran = radii(
        "train", recipe, "--out", str(out), "--data", str(data), "--width", "2", "--sigma", "0.1",
        "--epochs", "1", "--batch-size", "20", "--held-out", "8", "--crop-padding", "1",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, bundles: Path) -> Iterator[Service]:
    """The whole stack, shared by all tests."""
    with open_stack(tmp_path_factory.mktemp("stack"), settings(bundles)) as service:
        yield service
