"""Streams of noise."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from smoothing import InvalidParameter
from smoothing.randomness import draw_seed, generator_for


def draws(seed: int, stream: str, n: int = 8, device: str = "cpu") -> torch.Tensor:
    """The first normal draws of a stream."""
    return torch.randn(n, generator=generator_for(seed, stream, device=device), device=device)


def test_same_seed_and_stream_give_the_same_draws(device: str) -> None:
    """A certificate can be drawn again."""
    assert torch.equal(draws(7, "estimation", device=device), draws(7, "estimation", device=device))


def test_streams_and_seeds_give_different_draws(device: str) -> None:
    """Names, neighbouring seeds, and seeds that differ only in their highest bit are unrelated."""
    firsts = [
        draws(seed, stream, device=device)
        for seed in (0, 1, 2**32, 2**64, 2**127)
        for stream in ("selection", "estimation", "prediction", "a", "b")
    ]
    assert len({tuple(first.tolist()) for first in firsts}) == len(firsts)


def test_streams_are_uncorrelated() -> None:
    """Correlation of 100 000 draws of every pair of streams is below five standard errors."""
    n = 100_000
    streams = torch.stack([draws(11, name, n) for name in ("selection", "estimation", "prediction")]).double()
    correlations = torch.corrcoef(streams)
    assert float((correlations - torch.eye(3)).abs().max()) < 5 / math.sqrt(n)


def test_cpu_state_is_seeded_in_full() -> None:
    """All 624 words follow from the key, where torch's own seeding keeps 32 bits of it.

    The second opinion is NumPy's Mersenne Twister, started in the same state.
    """
    generator = generator_for(2**100 + 5, "estimation")
    words = generator.get_state()[24 : 24 + 8 * 624].view(torch.int64).numpy().astype(np.uint32)
    twister: Any = np.random.MT19937()
    twister.state = {"bit_generator": "MT19937", "state": {"key": words, "pos": 624}}
    expected = (twister.random_raw(1000) % 2**24) / 2**24  # torch.rand keeps 24 bits of each word
    assert np.array_equal(torch.rand(1000, generator=generator).numpy(), expected)

    only_32_bits = torch.Generator().manual_seed(generator.initial_seed())
    assert not torch.equal(only_32_bits.get_state(), generator_for(2**100 + 5, "estimation").get_state())


def test_global_generator_is_neither_used_nor_moved() -> None:
    """Forked or sharded work cannot come to share a stream through it."""
    torch.manual_seed(0)
    before = torch.get_rng_state()
    one = draws(3, "selection")
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(1)
    assert torch.equal(one, draws(3, "selection"))


def test_drawn_seeds_are_fresh_and_128_bit() -> None:
    """A thousand seeds are distinct, in range, and use the high bits."""
    seeds = {draw_seed() for _ in range(1000)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**128 for seed in seeds)
    assert any(seed >= 2**127 for seed in seeds)


@pytest.mark.parametrize("seed", [-1, 2**128, 1.5, "7"])
def test_seeds_out_of_range_are_refused(seed: Any) -> None:
    """128 bits, not negative."""
    with pytest.raises(InvalidParameter, match=r"'seed' must be in 0\.\.2\*\*128 - 1, got"):
        generator_for(seed, "selection")


def test_unnamed_stream_is_refused() -> None:
    """A use of randomness has a name."""
    with pytest.raises(InvalidParameter, match="'stream' must not be empty"):
        generator_for(1, "")
