"""The law of lattice noise: the probability of each number of steps, as thresholds of a 64-bit number."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Final

import mpmath
import numpy as np
from numpy.typing import NDArray

GREY_LEVELS: Final = 255
"""Steps from black to white in an image of bytes."""

FINEST: Final = 6
"""Most halvings of a grey level: 255·2⁶ steps and their noise fit into 16 bits."""

_BITS: Final = 64
_GUARD: Final = 192  # of fixed-point fractions, of which the last 64 absorb all rounding
_ONE: Final = 1 << _GUARD
_REACH: Final = 9.2  # standard deviations: Φ(−9.2) < 2⁻⁶⁴
_WIDE: Final = 2  # standard deviations in a cell
_HERMITE_BITS: Final = 32  # of 1.1·e^(c²/4) at 9.3 standard deviations
_LEAST_SPREAD: Final = 5.1  # steps in σ: 0.02·255


@dataclass(frozen=True, eq=False)
class LatticeLaw:
    """Noise of whole steps, N in ``lowest..lowest + len(thresholds)``, each coordinate alike and independent.

    P(N <= lowest + i) = ``thresholds[i]``/2⁶⁴: a 64-bit uniform number u gives N = ``lowest`` + #{t <= u}.

    Attributes:
        thresholds: Ascending, uint64.
        lowest: The least number of steps.
        steps: Steps from black to white, 255·2^m.
    """

    thresholds: NDArray[np.uint64]
    lowest: int
    steps: int

    @cached_property
    def highest(self) -> int:
        """The greatest number of steps."""
        return self.lowest + len(self.thresholds)


def lattice_error(cells: int, dimension: int) -> float:
    """τ = d·K·2⁻⁶⁴, rounded up: how far the law of an image's noise, as drawn, is from the stated one.

    In total variation. Each threshold is rounded down by less than 2⁻⁶⁴, and so is the mass beyond the last.

    Args:
        cells: K, numbers of steps that a coordinate can move by.
        dimension: d, coordinates of an image, c·h·w.

    >>> lattice_error(2349, 784) < 1e-13
    True
    """
    return math.nextafter(float(dimension * cells) * 2.0**-_BITS, math.inf)


def steps_for(sigma: float) -> int:
    """Steps from black to white of the lattice: grey levels, halved where σ is below 0.02."""
    halvings = 0
    while halvings < FINEST and sigma * (GREY_LEVELS << halvings) < _LEAST_SPREAD:
        halvings += 1
    return GREY_LEVELS << halvings


def gaussian_cells(sigma: float) -> int:
    """K for N(0, σ²): numbers of steps within 9.2σ, beyond which less than 2⁻⁶⁴ lies on either side."""
    return 2 * math.ceil(_REACH * sigma * steps_for(sigma)) + 3


def _distribution(width: Fraction) -> Iterator[int]:
    """Yields Φ((j + ½)·width) for j = 0, 1, …, times 2^_GUARD."""
    if width > _WIDE:  # a few cells, too wide for the series
        with mpmath.workprec(2 * _GUARD):
            edge = mpmath.mpf(width.numerator) / width.denominator
            edges = [(j + 0.5) * edge for j in range(math.ceil(_REACH / width) + 2)]
            known = [int(_ONE * mpmath.ncdf(each)) for each in edges]
        yield from known
        return
    masses = _cell_masses(width)
    below = (_ONE + next(masses)) // 2  # half of all, and half of the middle cell
    while True:
        yield below
        below += next(masses)


def _cell_masses(width: Fraction) -> Iterator[int]:
    """Yields the standard Gaussian's mass of cells of this width, from the middle one up, times 2^_GUARD.

    By Taylor's series about the cell's centre c, whose derivatives are Hermite polynomials, each from the two
    before: ∫ φ = φ(c)·Σ 2·Heₖ(c)·(w/2)^(k+1)/(k+1)! over even k. φ(c) itself comes from the cell before, by
    φ(c + w) = φ(c)·e^(−c·w − w²/2). All in fixed point, far finer than the thresholds.
    """
    weights = _taylor_weights(width)
    step = _fixed(width)
    with mpmath.workprec(2 * _GUARD):
        square = mpmath.mpf(width.numerator) ** 2 / mpmath.mpf(width.denominator) ** 2
        density = int(_ONE / mpmath.sqrt(2 * mpmath.pi))
        ratio, shrink = int(_ONE * mpmath.exp(-square / 2)), int(_ONE * mpmath.exp(-square))
    centre = 0
    while True:
        before, hermite, mass = 0, _ONE, weights[0]
        for k in range(1, len(weights)):
            before, hermite = hermite, (centre * hermite >> _GUARD) - (k - 1) * before
            if weights[k]:
                mass += weights[k] * hermite >> _GUARD
        yield density * mass >> _GUARD
        centre += step
        density = density * ratio >> _GUARD
        ratio = ratio * shrink >> _GUARD


def _taylor_weights(width: Fraction) -> list[int]:
    """2·(w/2)^(k+1)/(k+1)! for even k, else 0, up to where |Heₖ(c)| <= 1.1·√k!·e^(c²/4) leaves nothing."""
    weights, power, k = [], width, 0  # power = 2·(w/2)^(k+1)/(k+1)!
    while True:
        weights.append(0 if k % 2 else _fixed(power))
        k += 1
        power *= width / 2 / (k + 1)
        if math.log2(power) + math.lgamma(k + 1) / math.log(4.0) + _HERMITE_BITS < -_GUARD:
            return weights


def _fixed(value: Fraction) -> int:
    return (value.numerator << _GUARD) // value.denominator


@lru_cache(maxsize=64)
def gaussian_law(sigma: float) -> LatticeLaw:
    """N = round(s·ε), ε ~ N(0, 1), s = σ·steps: P(N = j) = Φ((j + ½)/s) − Φ((j − ½)/s).

    x + N is round(x + s·ε) where x is whole, so votes about a classifier under this noise are votes about one
    that rounds its input, under exact Gaussian noise: Cohen's theorem holds at every real perturbation.

    Args:
        sigma: Standard deviation of ε·σ in pixel units, where black to white is 1.
    """
    steps = steps_for(sigma)
    upper = []  # 2⁶⁴·Φ((j + ½)/s), rounded down, for j = 0, 1, …
    for below in _distribution(1 / (Fraction(sigma) * steps)):
        threshold = below >> (_GUARD - _BITS)
        if threshold >= (1 << _BITS) - 1:
            break
        upper.append(threshold)
    lower = [(1 << _BITS) - 1 - threshold for threshold in reversed(upper)]  # Φ(−x) = 1 − Φ(x), rounded down
    thresholds = np.array(lower + upper, dtype=np.uint64)
    return LatticeLaw(thresholds, -len(upper), steps)


def uniform_law_size(sigma: float) -> tuple[int, int]:
    """2L + 1 and the steps from black to white, of N uniform on −L..L with about this standard deviation.

    >>> uniform_law_size(0.25), uniform_law_size(uniform_sigma(*uniform_law_size(0.25)))
    ((221, 255), (221, 255))
    """
    steps = steps_for(sigma)
    cells = 2 * max(1, round(math.sqrt(3.0) * sigma * steps - 0.5)) + 1
    nearest = uniform_sigma(cells, steps)
    if steps_for(nearest) != steps:  # across the limit where the steps change, its law would be another
        cells += 2 if nearest < sigma else -2
    return cells, steps


def uniform_cells(sigma: float) -> int:
    """K for uniform noise of this level: no fewer than 2L + 1."""
    return 2 * math.ceil(math.sqrt(3.0) * sigma * steps_for(sigma)) + 3


def uniform_sigma(cells: int, steps: int) -> float:
    """λ/√3 with λ = (2L + 1)/(2·steps), the half-width of the continuous law behind the steps.

    Down by more than rounding can raise √3·σ: λ, and with it the radius, is never overstated.
    """
    return cells / (2 * steps * math.sqrt(3.0)) * (1.0 - 2.0**-50)


@lru_cache(maxsize=64)
def uniform_law(sigma: float) -> LatticeLaw:
    """N uniform on −L..L: N = round(s·ε) with ε uniform on [−λ, λ), λ = (2L + 1)/(2·steps).

    Args:
        sigma: About λ/√3: the nearest that the lattice has is taken.
    """
    cells, steps = uniform_law_size(sigma)
    thresholds = [(i << _BITS) // cells for i in range(1, cells)]
    return LatticeLaw(np.array(thresholds, dtype=np.uint64), -(cells // 2), steps)
