"""Initial weights from a seed, without changing PyTorch's global generator."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def initialised_from(seed: int) -> Iterator[None]:
    """Networks built inside this block get weights that depend only on the seed.

    PyTorch's layers initialise themselves from the global generator and accept no other one. The block seeds
    that generator, and restores it afterwards.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
