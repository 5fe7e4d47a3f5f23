"""Noises: one generic test over the registry, and each theorem a second way."""

import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats
from torch import Tensor

from smoothing import NOISES, Gaussian, InvalidParameter, Noise, certify, generator_for
from smoothing.hybrid import NO_RADIUS
from smoothing.noises import Uniform

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
    noise = NOISES[name](sigma).sample((draws,), generator=generator_for(3, "moments", device=device))
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


@dataclass(frozen=True)
class FirstCoordinate:
    """Class 0 where the first coordinate is above a threshold: an axis-aligned half-space."""

    threshold: float

    def __call__(self, images: Tensor) -> Tensor:
        score = images.double().flatten(1)[:, 0] - self.threshold
        return torch.stack((score, -score), dim=1)


def probability_above(noise: Noise, margin: float) -> float:
    """P(margin + noise in one coordinate > 0), from SciPy's distribution of that noise."""
    width = math.sqrt(3.0) * noise.sigma
    distributions = {
        "gaussian": stats.norm(scale=noise.sigma),
        "uniform": stats.uniform(loc=-width, scale=2.0 * width),
    }
    return float(distributions[noise.name].sf(-margin))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("margin", [0.2, 0.4])
def test_votes_and_radii_of_a_half_space_are_the_known_ones(
    name: str, margin: float, image: Tensor, device: str
) -> None:
    """Votes have the probability of SciPy's distribution, and no radius exceeds the distance to the plane.

    An axis-aligned plane lies at the same distance in ℓ1, ℓ2 and ℓ∞; it is the worst classifier in the norm
    of either theorem, so there the radius comes near the distance.
    """
    noise = NOISES[name](0.4)
    classifier = FirstCoordinate(float(image.flatten()[0]) - margin)
    got = certify(classifier, image.to(device), noise, n=40_000, batch_size=10_000, seed=11)
    p = probability_above(noise, margin)
    assert stats.binomtest(int(got.counts[0]), 40_000, p).pvalue > 1e-6
    assert got.top_class == 0
    assert max(got.radius.l1, got.radius.l2, got.radius.linf) <= margin
    assert getattr(got.radius, noise.norms[0]) > 0.85 * margin


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


def variation(shift: np.ndarray, half_width: float) -> float:
    """Total variation between U[−λ, λ]^d and its shift: the part of one cube that the other does not cover."""
    sides = np.maximum(0.0, 2.0 * half_width - np.abs(shift))
    return 1.0 - float(np.prod(sides / (2.0 * half_width)))


def largest_variation(radius: float, norm: str, dimension: int, half_width: float) -> float:
    """Maximum of the variation over shifts of that norm, by sequential quadratic programming.

    Many starts: random ones, one coordinate alone, and all alike. No convexity is made use of.
    """
    power = {"l1": 1.0, "l2": 2.0}[norm]
    rng = np.random.default_rng(dimension)
    starts = [*rng.exponential(size=(8, dimension)) ** 2, np.eye(dimension)[0] + 1e-3, np.ones(dimension)]
    minimize: Any = optimize.minimize  # its stubs do not know this use
    within: Any = {"type": "eq", "fun": lambda shift: np.sum(shift**power) / radius**power - 1.0}
    best = 0.0
    for start in starts:
        found = minimize(
            lambda shift: float(np.sum(np.log1p(-shift / (2.0 * half_width)))),
            radius * start / np.linalg.norm(start, power),
            method="SLSQP",
            bounds=[(0.0, min(radius, 1.99 * half_width))] * dimension,
            constraints=within,
        )
        shift = found.x * radius / np.linalg.norm(found.x, power)
        best = max(best, variation(shift, half_width))
    return best


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("dimension", [1, 2, 3, 7])
@pytest.mark.parametrize(("p_lower", "p_upper"), [(0.6, 0.4), (0.5, 0.1), (0.9, 0.1), (0.999, 0.001)])
def test_uniform_radius_is_where_the_worst_shift_uses_up_the_gap(
    norm: str, dimension: int, p_lower: float, p_upper: float
) -> None:
    """Numeric maximum over all shifts of that norm: the variation there is half the gap, and no more."""
    noise = Uniform(0.3)
    radius = getattr(noise.radius(p_lower, p_upper, dimension=dimension), norm)
    worst = largest_variation(radius, norm, dimension, noise.half_width)
    assert worst == pytest.approx((p_lower - p_upper) / 2.0, abs=1e-6)


@given(
    p_lower=st.floats(0.501, 0.9999),
    share=st.floats(0.05, 1.0),
    dimension=st.integers(1, 5000),
    sigma=sigmas,
    seed=st.integers(0, 2**32 - 1),
)
def test_no_shift_within_a_uniform_radius_uses_up_the_gap(
    p_lower: float, share: float, dimension: int, sigma: float, seed: int
) -> None:
    """Sparse and dense random shifts scaled to each ball; all alike and one alone are the worst of them."""
    noise = Uniform(sigma)
    p_upper = share * (1.0 - p_lower)
    radius = noise.radius(p_lower, p_upper, dimension=dimension)
    gap = (p_lower - p_upper) / 2.0
    rng = np.random.default_rng(seed)
    shapes = [rng.exponential(size=dimension) ** power for power in (0.5, 1.0, 4.0)]
    alone, alike = np.eye(1, dimension)[0], np.ones(dimension)
    for shape in (*shapes, alone, alike):
        for order, within in ((1, radius.l1), (2, radius.l2), (np.inf, radius.linf)):
            shift = within * shape / np.linalg.norm(shape, order)
            assert variation(shift, noise.half_width) <= gap * (1 + 1e-9)
    assert variation(radius.l1 * alone, noise.half_width) == pytest.approx(gap, rel=1e-9)
    assert variation(radius.linf * alike, noise.half_width) == pytest.approx(gap, rel=1e-9)
    assert radius.l2 == pytest.approx(math.sqrt(dimension) * radius.linf, rel=1e-12)


@given(p_lower=st.floats(0.501, 0.999), share=st.floats(0.05, 1.0), dimension=st.integers(1, 10**6))
def test_uniform_radii_in_many_digits(p_lower: float, share: float, dimension: int) -> None:
    """The closed forms in 40 digits; the ℓ2 radius is at least the usual conversion R/√d, and R at most λ."""
    p_upper = share * (1.0 - p_lower)
    radius = Uniform(0.7).radius(p_lower, p_upper, dimension=dimension)
    with mpmath.workdps(40):
        half_width = mpmath.sqrt(3) * mpmath.mpf(0.7)
        gap = (mpmath.mpf(p_lower) - mpmath.mpf(p_upper)) / 2
        linf = 2 * half_width * (1 - (1 - gap) ** (mpmath.mpf(1) / dimension))
        assert radius.l1 == pytest.approx(float(2 * half_width * gap), rel=1e-13)
        assert radius.linf == pytest.approx(float(linf), rel=1e-13)
        assert radius.l2 == pytest.approx(float(mpmath.sqrt(dimension) * linf), rel=1e-13)
    assert radius.l2 >= radius.l1 / math.sqrt(dimension) * (1 - 1e-12)
    assert radius.l1 <= Uniform(0.7).half_width


def test_uniform_known_radius() -> None:
    """λ = √3/2 at sigma ½; the one-sided form 2λ(p_lower − ½), and 2λ√d(1 − (1.5 − p_lower)^(1/d)) in ℓ2."""
    radius = Uniform(0.5).radius(0.99, 0.01, dimension=3072)
    assert Uniform(0.5).half_width == pytest.approx(0.8660254038, rel=1e-9)
    assert radius.l1 == pytest.approx(0.98 * 0.8660254038, rel=1e-9)
    assert radius.l2 == pytest.approx(2 * 0.8660254038 * 55.42562584 * (1 - 0.51 ** (1 / 3072)), rel=1e-9)
    assert radius.linf == pytest.approx(radius.l2 / 55.42562584, rel=1e-9)


def test_uniform_sample_is_uniform() -> None:
    """Kolmogorov–Smirnov on 200 000 draws; none lies outside [−λ, λ]."""
    draws = Uniform(2.0).sample((200_000,), generator=generator_for(6, "shape"), dtype=torch.float64).numpy()
    width = 2.0 * math.sqrt(3.0)
    assert np.abs(draws).max() <= width
    assert np.abs(draws).max() > 0.9999 * width
    assert stats.kstest(draws, stats.uniform(loc=-width, scale=2.0 * width).cdf).pvalue > 1e-6
