"""The real stack: embedded Valkey, API, two workers, with bundles made by the command line."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from redis import Redis
from typer.testing import CliRunner

from models.training.recipes import RECIPES
from radii.main import app
from radii.stack import Stack, StackPlan, free_port, quiet_log, tail
from tests.end_to_end.running import EXAMPLES, Running, radii, wait_for_engines
from tests.models.support import write_synthetic_fashion

# A user's own network, as it would lie in a package of theirs.
USER_MODULE = """
import torch
from torch import nn


def build(hidden: int = 8) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, hidden), nn.ReLU(), nn.Linear(hidden, 3))


class Roughness(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rough = (images[..., 1:] - images[..., :-1]).square().mean((1, 2, 3))
        return torch.stack([rough, torch.full_like(rough, 0.5), torch.zeros_like(rough)], dim=1)


def by_noise() -> nn.Module:
    return Roughness()
"""


@pytest.fixture(scope="session")
def user_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder on PYTHONPATH with a network of a user's own."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "their_networks.py").write_text(USER_MODULE)
    return folder


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory, user_package: Path) -> Path:
    """What a user made: torchvision's ResNet-18 at random, modules of their own, a network by each recipe."""
    folder = tmp_path_factory.mktemp("bundles")
    weights = folder / "theirs.pth"
    theirs: dict[str, Any] = {}
    exec(USER_MODULE, theirs)
    torch.save(theirs["build"](hidden=5).state_dict(), weights)
    making = [
        (
            "resnet", "--from", "torchvision:resnet18", "--classes", "7", "--input-shape", "3x64x64",
            "--resize", "72", "--n", "200",
        ),
        (
            "theirs", "--from", "their_networks:build", "--arg", "hidden=5", "--weights", str(weights),
            "--classes", "cat,dog,bird", "--input-shape", "3x8x8", "--mean", "0,0,0", "--std", "1,1,1", "--n", "500",
        ),
        (
            "by-noise", "--from", "their_networks:by_noise", "--classes", "rough,smooth,none",
            "--input-shape", "3x8x8", "--mean", "0,0,0", "--std", "1,1,1", "--n", "500",
        ),
    ]  # fmt: skip

    def make(name: str, *words: str) -> subprocess.CompletedProcess[str]:
        return radii("bundle", "create", str(folder / name), *words, PYTHONPATH=str(user_package))

    data = write_synthetic_fashion(tmp_path_factory.mktemp("data"))
    for recipe in RECIPES:
        train_briefly(recipe, data, folder / f"trained-{recipe}")

    with ThreadPoolExecutor() as pool:  # most of the time goes into loading torch
        for ran in pool.map(lambda words: make(*words), making):
            assert ran.returncode == 0, ran.stderr
    return folder


def train_briefly(recipe: str, data: Path, out: Path) -> None:
    """Trains a tiny network for two steps by the command line, in this process."""
    ran = CliRunner().invoke(
        app,
        [
            "train", recipe, "--out", str(out), "--data", str(data), "--width", "2", "--sigma", "0.1",
            "--epochs", "1", "--batch-size", "20", "--held-out", "8", "--crop-padding", "1",
        ],
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, bundles: Path, user_package: Path) -> Iterator[Running]:
    """The whole stack, shared by all tests."""
    folder = tmp_path_factory.mktemp("stack")
    with quiet_log(folder) as log:
        plan = StackPlan(
            folder / "store",
            port=free_port(),
            workers=2,
            environment={"RADII_MODELS": str(bundles), "PYTHONPATH": str(user_package)},
            stop_grace=1,
            log=log,
        )
        with Stack(plan) as stack:
            try:
                stack.wait_until_ready()
                with (
                    httpx.Client(
                        base_url=stack.url, timeout=60, headers={"X-API-Key": stack.api_key}
                    ) as http,
                    Redis.from_url(stack.redis_url) as redis,
                ):
                    picture = EXAMPLES / "09-ankle-boot.png"
                    found = Running(http, redis, stack.url, picture, stack.redis_url, plan.data_dir)
                    wait_for_engines(found, 2)
                    yield found
            finally:
                print(tail(folder, 60))  # noqa: T201 (pytest shows it when a test fails)
