"""Noises: one generic test over the registry, and each theorem a second way."""

import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from smoothing import NO_RADIUS, NOISES, Gaussian, InvalidParameter, generator_for

NAMES = sorted(NOISES)
inner = st.floats(1e-6, 1 - 1e-6)
sigmas = st.floats(0.01, 4.0)


@pytest.mark.parametrize("name", NAMES)
def test_registry_key_is_the_noise_name(name: str) -> None:
    """A noise answers to the name it is registered under, and says in which norms it proves radii."""
    noise = NOISES[name](0.25)
    assert noise.name == name
    assert noise.sigma == 0.25
    assert set(noise.norms) <= {"l1", "l2", "linf"}
    assert noise.norms


@pytest.mark.parametrize("sigma", [0.1, 1.0])
@pytest.mark.parametrize("name", NAMES)
def test_samples_have_mean_zero_and_standard_deviation_sigma(name: str, sigma: float, device: str) -> None:
    """Moments of 200 000 draws, within five standard errors (fourth moment at most 3σ⁴)."""
    draws = 200_000
    noise = NOISES[name](sigma).sample(
        (draws,), generator=generator_for(3, "moments", device=device), device=device
    )
    assert noise.device.type == device
    assert float(noise.mean()) == pytest.approx(0.0, abs=5 * sigma / math.sqrt(draws))
    assert float(noise.square().mean()) == pytest.approx(sigma**2, abs=5 * sigma**2 * math.sqrt(2 / draws))


@pytest.mark.parametrize("name", NAMES)
def test_neighbouring_coordinates_are_uncorrelated(name: str) -> None:
    """Coordinates, and copies, are independent draws."""
    noise = NOISES[name](1.0).sample((500, 2, 10, 10), generator=generator_for(4, "moments"))
    for shifted in (noise.roll(1, 0), noise.roll(1, 1), noise.roll(1, 2), noise.roll(1, 3)):
        assert abs(float((noise * shifted).mean())) < 5 / math.sqrt(noise.numel())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMES)
def test_sampling_keeps_shape_and_type_and_fills_in_place(name: str, dtype: torch.dtype) -> None:
    """``sample`` is ``fill_`` on a new tensor: same generator, same draws."""
    noise = NOISES[name](0.5)
    sample = noise.sample((2, 1, 3, 3), generator=generator_for(5, "a"), dtype=dtype)
    buffer = torch.empty((2, 1, 3, 3), dtype=dtype)
    assert sample.shape == (2, 1, 3, 3)
    assert sample.dtype == dtype
    assert noise.fill_(buffer, generator=generator_for(5, "a")) is buffer
    assert torch.equal(sample, buffer)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_certified_at_one_half_or_below(name: str) -> None:
    """Equal bounds, crossed bounds and no information give radius 0 in every norm."""
    noise = NOISES[name](0.5)
    for p_lower, p_upper in ((0.5, 0.5), (0.3, 0.7), (0.3, 0.3), (0.0, 1.0)):
        assert noise.radius(p_lower, p_upper, dimension=10) == NO_RADIUS


@pytest.mark.parametrize("name", NAMES)
@given(one=inner, other=inner, p_upper=inner, sigma=sigmas)
def test_radius_is_monotone_in_both_bounds(
    name: str, one: float, other: float, p_upper: float, sigma: float
) -> None:
    """Raising p_lower or lowering p_upper never shrinks a radius, in any norm."""
    low, high = sorted((one, other))
    noise = NOISES[name](sigma)
    for norm in ("l2", "l1", "linf"):
        worse = getattr(noise.radius(low, p_upper, dimension=7), norm)
        assert 0.0 <= worse <= getattr(noise.radius(high, p_upper, dimension=7), norm)
        assert getattr(noise.radius(p_upper, high, dimension=7), norm) <= getattr(
            noise.radius(p_upper, low, dimension=7), norm
        )


@pytest.mark.parametrize("name", NAMES)
@given(p_lower=inner, p_upper=inner, sigma=sigmas, factor=st.floats(0.1, 10.0))
def test_radius_is_homogeneous_in_sigma(
    name: str, p_lower: float, p_upper: float, sigma: float, factor: float
) -> None:
    """Units: scaling the noise scales the radius."""
    small = NOISES[name](sigma).radius(p_lower, p_upper, dimension=7)
    large = NOISES[name](sigma * factor).radius(p_lower, p_upper, dimension=7)
    for norm in ("l2", "l1", "linf"):
        assert getattr(large, norm) == pytest.approx(factor * getattr(small, norm), rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
@given(p_lower=inner, p_upper=inner, dimension=st.integers(1, 10**6))
def test_norms_are_consistent(name: str, p_lower: float, p_upper: float, dimension: int) -> None:
    """The ℓ∞ radius is at most the ℓ2 radius, which is at most the ℓ1 radius."""
    radius = NOISES[name](0.5).radius(p_lower, p_upper, dimension=dimension)
    assert radius.linf <= radius.l2 * (1 + 1e-12)
    assert radius.l2 <= radius.l1 * (1 + 1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("p_lower", "p_upper", "dimension", "message"),
    [
        (1.0, 0.0, 3, r"'p_lower' must be in \[0, 1\), got 1\.0"),
        (0.9, 0.0, 3, r"'p_upper' must be in \(0, 1\], got 0\.0"),
        (-0.1, 0.5, 3, "'p_lower' must be"),
        (0.5, 1.1, 3, "'p_upper' must be"),
        (math.nan, 0.1, 3, "'p_lower' must be"),
        (0.9, math.nan, 3, "'p_upper' must be"),
        (0.9, 0.1, 0, "'dimension' must be >= 1, got 0"),
    ],
)
def test_probabilities_that_votes_cannot_prove_are_refused(
    name: str, p_lower: float, p_upper: float, dimension: int, message: str
) -> None:
    """No infinite radius, and no radius from NaN."""
    with pytest.raises(InvalidParameter, match=message):
        NOISES[name](0.5).radius(p_lower, p_upper, dimension=dimension)


@pytest.mark.parametrize("sigma", [0.0, -0.5, math.nan, math.inf])
@pytest.mark.parametrize("name", NAMES)
def test_sigma_must_be_positive_and_finite(name: str, sigma: float) -> None:
    """The message names sigma and its value."""
    with pytest.raises(InvalidParameter, match=f"'sigma' must be .*, got {sigma}"):
        NOISES[name](sigma)


@pytest.mark.parametrize("name", NAMES)
def test_a_noise_is_frozen(name: str) -> None:
    """The sigma that was sampled is the sigma that is certified."""
    noise: Any = NOISES[name](0.5)
    with pytest.raises(FrozenInstanceError):
        noise.sigma = 1.0


@given(p_lower=st.floats(0.501, 0.999), share=st.floats(0.05, 1.0), sigma=sigmas)
def test_gaussian_radius_is_where_the_worst_classifier_changes_its_mind(
    p_lower: float, share: float, sigma: float
) -> None:
    """Neyman–Pearson: shifting by R makes the extremal half-spaces equally probable."""
    p_upper = share * (1.0 - p_lower)
    radius = Gaussian(sigma).radius(p_lower, p_upper, dimension=1).l2
    with mpmath.workdps(30):
        shift = mpmath.mpf(radius) / sigma
        quantiles = [mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(p) - 1) for p in (p_lower, p_upper)]
        top, other = mpmath.ncdf(quantiles[0] - shift), mpmath.ncdf(quantiles[1] + shift)
    assert float(top - other) == pytest.approx(0.0, abs=1e-12)


def test_gaussian_known_radius() -> None:
    """σΦ⁻¹(0.99) with qnorm(0.99) = 2.326348 from R; ℓ∞ is 1/√d of it."""
    radius = Gaussian(0.5).radius(0.99, 0.01, dimension=3072)
    assert radius.l2 == pytest.approx(0.5 * 2.326347874, rel=1e-9)
    assert radius.l1 == radius.l2
    assert radius.linf == pytest.approx(radius.l2 / 55.42562584, rel=1e-9)


def test_gaussian_sample_is_gaussian(phi: Callable[[float], float]) -> None:
    """Frequencies below five points against Φ, within five standard errors."""
    draws = 200_000
    noise = Gaussian(2.0).sample((draws,), generator=generator_for(6, "shape"))
    for point in (-2.0, -0.5, 0.0, 1.0, 3.0):
        p = phi(point)
        frequency = float((noise < 2.0 * point).double().mean())
        assert frequency == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / draws))
