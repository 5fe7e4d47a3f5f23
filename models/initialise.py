"""Fresh weights from a seed, without touching anybody's randomness."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def initialised_from(seed: int) -> Iterator[None]:
    """Build networks inside this block: their weights depend on the seed only.

    Layers of PyTorch initialise themselves from its global generator, with no way to pass another. Inside the
    block that generator is seeded; afterwards it is what it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
