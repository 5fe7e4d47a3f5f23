"""Binomial tails and radii in exact or 50-digit arithmetic."""

import math
from fractions import Fraction
from typing import Any, Final

from mpmath import mp

from contract.choices import NoiseKind

_DIGITS: Final = 50
_FIXED_POINT: Final = 160  # bits of the tail sum after the point
_LEAST_SPREAD: Final = 5.1
_REACH: Final = 9.2  # standard deviations, beyond which a Gaussian has less than 2⁻⁶⁴


def radii(
    noise: NoiseKind, sigma: float, p_lower: float, p_upper: float, dimension: int
) -> tuple[Any, Any, Any]:
    """Returns what the probabilities prove in ℓ2, ℓ1 and ℓ∞; zeros unless ``p_lower > p_upper``.

    Gaussian: R = σ/2 (Φ⁻¹(p_lower) − Φ⁻¹(p_upper)) in ℓ2 and ℓ1, R/√d in ℓ∞. Uniform on [−λ, λ] in each
    coordinate, λ = √3σ: λ(p_lower − p_upper) in ℓ1, R∞ = 2λ(1 − (1 − t)^(1/d)) in ℓ∞ with
    t = (p_lower − p_upper)/2, and √d R∞ in ℓ2.
    """
    context = _precise()
    if p_lower <= p_upper:
        return (context.mpf(0),) * 3
    lower, upper = context.mpf(p_lower), context.mpf(p_upper)
    if noise is NoiseKind.GAUSSIAN:
        quantiles = [context.sqrt(2) * context.erfinv(2 * p - 1) for p in (lower, upper)]
        l2 = context.mpf(sigma) / 2 * (quantiles[0] - quantiles[1])
        return l2, l2, l2 / context.sqrt(dimension)
    half_width = context.sqrt(3) * context.mpf(sigma)
    linf = 2 * half_width * (1 - context.root(1 - (lower - upper) / 2, dimension))
    return linf * context.sqrt(dimension), half_width * (lower - upper), linf


def lattice_error(noise: NoiseKind, sigma: float, dimension: int) -> Fraction:
    """Returns how far exact noise, as it is drawn, may be from its law: d·K·2⁻⁶⁴ in total variation.

    K is at least as large as the number of steps that a coordinate can move by. There are 255 from black to
    white, or, for levels below 0.02, so many times twice as many that σ is 5.1 steps: at most 64 times.
    """
    steps = 255
    while sigma * steps < _LEAST_SPREAD and steps < 255 * 64:
        steps *= 2
    reach = math.sqrt(3) if noise is NoiseKind.UNIFORM else _REACH
    return Fraction(dimension * (2 * math.ceil(reach * sigma * steps) + 3), 1 << 64)


def perfect_radius(noise: NoiseKind, sigma: float, n: int, alpha: float, dimension: int) -> Any:
    """Returns the radius in the noise's own norm when ``n`` votes are all for one class."""
    p_lower = math.pow(alpha, 1 / n)
    l2, l1, _ = radii(noise, sigma, p_lower, 1 - p_lower, dimension)
    return l1 if noise.norm == "l1" else l2


def tail_at_most(n: int, k: int, p: Fraction, alpha: float) -> bool:
    """Whether P(Bin(n, p) ≥ k) ≤ alpha, for alpha < ½.

    The first term is computed from log-gamma; the others follow by exact ratios, summed in fixed point.
    """
    if k <= 0:
        return False
    if p <= 0:
        return True
    if p * n >= k:  # the median is at least ⌊np⌋ ≥ k, so the tail is at least ½
        return False
    context = _precise()
    odds = p / (1 - p)
    term = total = 1 << _FIXED_POINT
    successes = k
    while term and successes < n:
        term = term * (n - successes) * odds.numerator // ((successes + 1) * odds.denominator)
        total += term
        successes += 1
    log_ways = context.loggamma(n + 1) - context.loggamma(k + 1) - context.loggamma(n - k + 1)
    log_first = log_ways + k * _log(context, p) + (n - k) * _log(context, 1 - p)
    return bool(context.exp(log_first) * total / (1 << _FIXED_POINT) <= context.mpf(alpha))


def _log(context: Any, value: Fraction) -> Any:
    return context.log(context.mpf(value.numerator)) - context.log(context.mpf(value.denominator))


def _precise() -> Any:
    """Returns a new context: the precision of the shared one would change for every thread."""
    context = mp.clone()
    context.dps = _DIGITS
    return context
