"""What votes could certify at best: all of them for one class."""

import math
from statistics import NormalDist

from contract.choices import NoiseKind


def largest_radius(
    noise: NoiseKind, sigma: float, sigma_uniform: float, n: int, alpha: float, dimension: int
) -> float:
    """Returns the largest radius that ``n`` votes can certify, rounded down to six decimals.

    In ℓ1 under uniform noise, else in ℓ2. All votes for one class bound its probability from below by
    ``alpha ** (1 / n)``.

    Args:
        noise: For `hybrid`, the larger of both noises' ℓ2 radii counts.
        sigma: The noise level.
        sigma_uniform: The noise level of the uniform branch of `hybrid`.
        n: Estimation votes of each noise.
        alpha: Failure probability of each noise.
        dimension: Channels times height times width.

    >>> largest_radius(NoiseKind.GAUSSIAN, 0.5, 0.5, 100_000, 0.001, 784)
    1.905728
    >>> largest_radius(NoiseKind.UNIFORM, 0.5, 0.5, 1000, 0.001, 784)
    0.854102
    """
    p_lower = math.pow(alpha, 1 / n)
    if noise is NoiseKind.UNIFORM:
        radius = math.sqrt(3) * sigma * (2 * p_lower - 1)
    elif noise is NoiseKind.GAUSSIAN:
        radius = _gaussian_l2(sigma, p_lower)
    else:
        radius = max(_gaussian_l2(sigma, p_lower), _uniform_l2(sigma_uniform, p_lower, dimension))
    return math.floor(radius * 1e6) / 1e6


def _gaussian_l2(sigma: float, p_lower: float) -> float:
    return sigma * NormalDist().inv_cdf(p_lower)


def _uniform_l2(sigma: float, p_lower: float, dimension: int) -> float:
    # √d times the ℓ∞ radius 2λ(1 − (1 − t)^(1/d)) with λ = √3σ and t = p_lower − ½.
    return -2 * math.sqrt(3 * dimension) * sigma * math.expm1(math.log1p(0.5 - p_lower) / dimension)
