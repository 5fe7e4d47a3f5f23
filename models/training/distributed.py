"""Several processes that train one classifier, started by ``torchrun``; one alone is a group of one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from models.errors import TrainingError

PATIENCE = timedelta(days=1)
"""How long processes wait for each other: hours where the first one unpacks ImageNet, validates under attack
or measures, while PyTorch gives up after 10 minutes on GPUs. That a process died, ``torchrun`` notices."""

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """The processes that train together.

    Attributes:
        rank: this process, from 0; the first one validates, writes and speaks.
        size: their number.
        local_rank: this process on its machine, and so its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this process speaks for all."""
        return self.rank == 0

    def device(self, kind: str) -> torch.device:
        """Return this process's own device of a kind, ``cpu`` or ``cuda``."""
        return torch.device(kind, self.local_rank) if kind == "cuda" and self.size > 1 else torch.device(kind)

    def share(self, indices: Tensor) -> Tensor:
        """Return this process's part of a batch."""
        return indices[self.rank :: self.size]

    def parallel(self, module: nn.Module) -> nn.Module:
        """Return the module with gradients averaged over the processes."""
        return module if self.size == 1 else DistributedDataParallel(module)

    def mean(self, value: float) -> float:
        """Return the mean of a number over the processes."""
        if self.size == 1:
            return value
        total = torch.tensor([value], dtype=torch.float64, device=_backend_device())
        dist.all_reduce(total)
        return float(total) / self.size

    def merge(self, before: Tensor, after: Tensor) -> Tensor:
        """Return what every process changed in its own copy; no two may change the same element."""
        if self.size == 1:
            return after
        changed = (after != before).to(after.dtype)
        values = after * changed
        dist.all_reduce(changed)
        dist.all_reduce(values)
        return torch.where(changed > 0, values, before)

    def require_even(self, batch_size: int) -> None:
        """Refuse batches that cannot be shared out evenly.

        Raises:
            TrainingError: if it is so.
        """
        if batch_size % self.size:
            raise TrainingError(
                f"'batch_size' must be a multiple of the {self.size} processes, got {batch_size}"
            )

    def in_turn(self, make: Callable[[], T]) -> T:
        """Return what a function makes; files that it fetches or unpacks are there when others call it.

        It is called by the first process of all, then by the first of every other machine, then by the rest.
        """
        turn = 0 if self.first else 1 if self.local_rank == 0 else 2
        for _ in range(turn):
            self.wait()
        try:
            return make()
        finally:  # the others have their turn also where this one fails, and say for themselves why
            for _ in range(turn, 2):
                self.wait()

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def joined(kind: str, batch_size: int) -> Iterator[Group]:
    """Join the group that ``torchrun`` started, for the length of a block.

    Raises:
        TrainingError: if a batch cannot be shared out evenly.
    """
    if not dist.is_torchelastic_launched():
        yield Group()
        return
    dist.init_process_group("nccl" if kind == "cuda" else "gloo", timeout=PATIENCE)
    try:
        group = Group(dist.get_rank(), dist.get_world_size(), dist.get_node_local_rank())
        group.require_even(batch_size)
        if kind == "cuda":
            torch.cuda.set_device(group.local_rank)
        yield group
    finally:
        dist.destroy_process_group()


def _backend_device() -> torch.device:
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
