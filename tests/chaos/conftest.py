"""The stack of these tests, and its models."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from radii.stack import quiet_log, tail
from tests.chaos.clients import DAMAGED, MODEL, POISON
from tests.chaos.cluster import Cluster, until

NETWORKS = """
import os
import torch
from torch import nn


class Roughness(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rough = (images[..., 1:] - images[..., :-1]).square().mean((1, 2, 3))
        return torch.stack([rough, torch.full_like(rough, 0.5), torch.zeros_like(rough)], dim=1)


class Poison(Roughness):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if not images.any():
            os.abort()  # as native code does that cannot go on
        return super().forward(images)


def by_noise() -> nn.Module:
    return Roughness()


def poison() -> nn.Module:
    return Poison()
"""


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a stack with a model that contradicts itself, one that kills its engine, and one that is damaged."""
    bundles, package = tmp_path_factory.mktemp("chaos-bundles"), tmp_path_factory.mktemp("chaos-package")
    (package / "chaos_networks.py").write_text(NETWORKS)
    path = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")]))
    making = [
        subprocess.Popen(
            [
                sys.executable, "-m", "radii", "bundle", "create", str(bundles / name), "--from",
                f"chaos_networks:{function}", "--classes", "rough,smooth,none", "--input-shape", "3x8x8",
                "--mean", "0,0,0", "--std", "1,1,1", "--n", "500",
            ],
            env={**os.environ, "PYTHONPATH": path},
        )
        for name, function in ((MODEL, "by_noise"), (POISON, "poison"), (DAMAGED, "by_noise"))
    ]  # fmt: skip
    assert [process.wait(120) for process in making] == [0, 0, 0]
    weights = bundles / DAMAGED / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    return {
        "RADII_MODELS": str(bundles),
        "RADII_DEFAULT_MODEL": MODEL,
        "RADII_BACKEND": "eager",
        "RADII_AUTH": "off",
        "PYTHONPATH": path,
    }


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[Cluster]:
    """The stack of all these tests, which each has to leave sound; when it is stopped, no process may be left."""
    folder = tmp_path_factory.mktemp("chaos")
    with quiet_log(folder) as log:
        try:
            with Cluster(folder, log, environment) as found:
                yield found
            until(lambda: not found.left_over(), 10, "a process was left over")
        finally:
            print(tail(folder, 80))  # noqa: T201 (pytest shows it when a test fails)
