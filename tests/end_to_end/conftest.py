"""The real stack: embedded Valkey, API, two workers, and the bundles that they serve."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from models.training.recipes import RECIPES
from tests.support import networks
from tests.support.bundles import make_bundle
from tests.support.command_line import radii
from tests.support.service import Service
from tests.support.stack import open_stack, settings
from tests.support.training import train_once


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory, trained_folder: Path) -> Path:
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
    for recipe in RECIPES:
        shutil.copytree(train_once(recipe, trained_folder).out, folder / f"trained-{recipe}")
    return folder


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, bundles: Path) -> Iterator[Service]:
    """The whole stack, shared by all tests."""
    with open_stack(tmp_path_factory.mktemp("stack"), settings(bundles)) as service:
        yield service
