"""The law of exact noise, against arbitrary precision and against its own draws."""

import mpmath
import numpy as np
import pytest
from scipy import stats

from smoothing import Gaussian, Noise, Uniform
from smoothing.lattice import NoiseStream, gaussian_law, uniform_law
from smoothing.lattice.law import uniform_law_size

SIGMAS = [1e-5, 2e-5, 0.0005, 0.012, 0.02, 0.12, 0.5, 1.0, 4.0]


@pytest.mark.parametrize("sigma", SIGMAS)
def test_gaussian_thresholds_are_exact(sigma: float) -> None:
    """To the last of 64 bits, by arithmetic of 250 bits, at 200 places and at both ends."""
    law = gaussian_law(sigma)
    with mpmath.workprec(250):
        spread = mpmath.mpf(sigma) * law.steps
        for place in {*np.linspace(0, len(law.thresholds) - 1, 200).astype(int).tolist()}:
            below = mpmath.ncdf((law.lowest + place + mpmath.mpf("0.5")) / spread)
            assert int(law.thresholds[place]) == int(mpmath.floor(below * 2**64))


@pytest.mark.parametrize("sigma", SIGMAS)
def test_what_is_left_out_is_less_than_the_error_says(sigma: float) -> None:
    """Both tails beyond the cells, each below 2⁻⁶⁴, and no more cells than are counted."""
    law = gaussian_law(sigma)
    with mpmath.workprec(250):
        tail = mpmath.ncdf((law.lowest - mpmath.mpf("0.5")) / (mpmath.mpf(sigma) * law.steps))
        assert tail < mpmath.mpf(2) ** -64
    assert len(law.thresholds) + 1 <= Gaussian(sigma).cells()
    assert Gaussian(sigma).lattice_error(784) >= 784 * Gaussian(sigma).cells() * 2.0**-64


@pytest.mark.parametrize("sigma", SIGMAS)
def test_uniform_steps_are_equally_probable(sigma: float) -> None:
    """Up to one unit of the last bit, and the stated level is the one that is drawn."""
    law = uniform_law(sigma)
    edges = [0, *(int(threshold) for threshold in law.thresholds), 2**64]
    masses = np.diff(np.array(edges, dtype=object))
    assert max(masses) - min(masses) <= 1
    noise = Uniform(sigma).on_lattice()
    cells, steps = uniform_law_size(sigma)
    assert (len(masses), law.steps) == (cells, steps)
    assert law.lowest == -law.highest
    assert cells / (2 * steps) * (1 - 1e-14) < noise.half_width <= cells / (2 * steps)


def test_a_level_of_the_lattice_stays_where_it_is() -> None:
    """Over all levels that images of bytes have, across the limit where the lattice gets finer, too."""
    for sigma in np.linspace(0.0001, 0.06, 3000):
        noise = Uniform(float(sigma)).on_lattice()
        assert noise.on_lattice() == noise
        assert uniform_law_size(noise.sigma) == uniform_law_size(float(sigma))
        assert abs(noise.sigma - sigma) < 1 / uniform_law_size(noise.sigma)[1]


def test_noise_below_every_step_is_none() -> None:
    """A level of a hundred-thousandth of a grey level moves no byte; uniform noise has one step at least."""
    (piece,) = NoiseStream(gaussian_law(4e-8), 1, "law", 1000).noise(0, 3)
    assert not piece.any()
    assert uniform_law(1e-9).highest == 1


@pytest.mark.parametrize("noise", [Gaussian(0.02), Gaussian(0.5), Gaussian(20.0), Uniform(0.25)])
def test_draws_have_the_law(noise: Noise) -> None:
    """χ² of two million draws against the masses that the thresholds state."""
    law = noise.law()
    stream = NoiseStream(law, 1, "law", 1000)
    counts = np.zeros(len(law.thresholds) + 1)
    for piece in stream.noise(0, 2000):
        counts += np.bincount(piece.ravel().astype(np.int64) - law.lowest, minlength=len(counts))
    expected = np.diff([0.0, *(law.thresholds / 2.0**64), 1.0]) * counts.sum()
    groups = np.cumsum(expected) // 50  # at least 50 expected in each, whatever the tails have
    found, wanted = (np.bincount(groups.astype(int), weights=of) for of in (counts, expected))
    kept = wanted > 0
    assert stats.chisquare(found[kept], wanted[kept]).pvalue > 1e-6
