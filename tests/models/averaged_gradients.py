"""Run by ``torchrun``: what two processes make of one batch, and of one that is odd, written by the first of them."""

import sys
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from models.training import TrainingError
from models.training.distributed import Group, joined


class Mean(nn.Module):
    """A loss that is a mean over the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))

    def forward(self, images: Tensor) -> Tensor:
        return (images @ self.weight).square().mean()


def refusal(group: Group) -> str:
    """What is said of a batch that cannot be shared out."""
    try:
        group.require_even(15)
    except TrainingError as error:
        return str(error)
    return ""


def main() -> None:
    # Once in a process: under torchrun a second group would find the addresses of the first.
    with joined("cpu", batch_size=4) as group:
        images = torch.arange(12.0).reshape(4, 3)
        losses = Mean()
        parallel = group.parallel(losses)  # its hooks end with it
        loss = cast("Tensor", parallel(images[group.share(torch.arange(4))]))
        loss.backward()  # type: ignore[no-untyped-call]
        before = torch.zeros(4)
        after = before.clone()
        after[group.share(torch.arange(4))] = 1.0 + group.rank
        merged = group.merge(before, after)
        found = {
            "gradient": losses.weight.grad,
            "loss": group.mean(loss.item()),
            "merged": merged,
            "size": group.size,
            "refused": refusal(group),
        }
        if group.first:
            torch.save(found, Path(sys.argv[1]))
        group.wait()


if __name__ == "__main__":
    main()
