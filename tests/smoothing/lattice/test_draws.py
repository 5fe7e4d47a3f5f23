"""The noise of vote number i: the same in any order, in any batch, and on any device."""

import numpy as np
import pytest
import torch

from smoothing import Gaussian, Noise, Uniform
from smoothing.lattice import NoiseStream
from smoothing.lattice.device import DeviceNoiseStream

NOISES = [Gaussian(0.5), Gaussian(0.01), Gaussian(20.0), Uniform(0.25)]
DEVICES = [
    torch.device("cpu"),
    pytest.param(
        torch.device("cuda"),
        marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")],
    ),
]


def votes(stream: NoiseStream, first: int, n: int) -> np.ndarray:
    return np.concatenate([piece.copy() for piece in stream.noise(first, n)])


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("dimension", [1, 784, 150_528])
def test_a_vote_is_a_function_of_its_number(noise: Noise, dimension: int) -> None:
    """Wherever the drawing begins, and in pieces of any size."""
    size = 40 if dimension > 1000 else 300
    whole = votes(NoiseStream(noise.law(), 7, "e", dimension), 0, size)
    other = NoiseStream(noise.law(), 7, "e", dimension)
    for first, n in ((size - 3, 3), (0, 1), (17, 20), (0, size)):
        assert np.array_equal(votes(other, first, n), whole[first : first + n])


def test_streams_and_seeds_have_noise_of_their_own() -> None:
    """And no two votes of a stream are alike."""
    law = Gaussian(0.5).law()
    one, *others = (
        votes(NoiseStream(law, seed, stream, 100), 0, 1500)
        for seed, stream in ((1, "e"), (1, "f"), (2, "e"), (1 + 2**64, "e"))
    )
    assert len({vote.tobytes() for vote in one}) == 1500
    for other in others:
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 5 / one.size**0.5


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("dimension", [1, 784, 150_528])
def test_devices_draw_the_same(noise: Noise, dimension: int, device: torch.device) -> None:
    """PyTorch's integers, which have no product of 128 bits and no unsigned order, give the same bits."""
    first, n = (3, 4) if dimension > 1000 else (80, 250)
    here = votes(NoiseStream(noise.law(), 5, "e", dimension), first, n)
    there = DeviceNoiseStream(noise.law(), 5, "e", dimension, device).noise(first, n)
    assert torch.equal(there.cpu(), torch.from_numpy(here))
