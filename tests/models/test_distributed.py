"""Two processes under ``torchrun`` train as one would."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models.bundles import load_bundle
from models.training.distributed import Group
from tests.models.averaged_gradients import Mean

ROOT = Path(__file__).parents[2]


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs two processes on this machine, with one thread each."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )


def test_gradients_losses_and_memories_are_those_of_the_whole_batch(tmp_path: Path) -> None:
    """Gradients and losses are averaged; what each process changed is put together; an odd batch is refused."""
    ran = torchrun(str(ROOT / "tests/models/averaged_gradients.py"), str(tmp_path / "found.pt"))
    assert ran.returncode == 0, ran.stderr
    found = torch.load(tmp_path / "found.pt", weights_only=True)
    whole = Mean()
    loss = whole(torch.arange(12.0).reshape(4, 3))
    loss.backward()
    torch.testing.assert_close(found["gradient"], whole.weight.grad)
    assert found["loss"] == pytest.approx(loss.item())
    assert found["merged"].tolist() == [1.0, 2.0, 1.0, 2.0]
    assert found["size"] == 2
    assert found["refused"] == "'batch_size' must be a multiple of the 2 processes, got 15"


def test_two_processes_train_one_classifier_and_write_one_bundle(
    synthetic_fashion: Path, tmp_path: Path
) -> None:
    """The command line under ``torchrun``, with a recipe that keeps a level for every image.

    Both read the data, the first one first, and end with the same weights and levels, though each has seen but
    half of the images.
    """
    ran = torchrun(
        str(ROOT / "tests/models/trained_together.py"), str(tmp_path),
        "train", "data_dependent", "--out", str(tmp_path / "bundles/pair"),
        "--data", str(synthetic_fashion), "--width", "2", "--sigma", "0.1", "--epochs", "2", "--batch-size", "16",
        "--held-out", "8", "--crop-padding", "1", "--device", "cpu", "--fixed-share", "0.5", "--samples", "1",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    bundle = load_bundle(tmp_path / "bundles/pair")
    assert bundle.card.recipe == "data_dependent"
    assert ran.stderr.count("bundle written to") == 1
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == ["pair"]
    first, other = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert (first["read before"], other["read before"]) == (False, True)
    weights = dict(bundle.base_classifier.named_parameters())
    for found in (first, other):
        torch.testing.assert_close(found["weights"], weights, rtol=0, atol=0)
    assert torch.equal(first["levels"], other["levels"])
    assert len(first["levels"].unique()) > 20


def test_alone_a_process_is_all_there_is() -> None:
    group = Group()
    indices = torch.arange(4)
    assert group.first
    assert group.share(indices) is not None
    assert group.share(indices).tolist() == [0, 1, 2, 3]
    assert group.mean(2.5) == 2.5
