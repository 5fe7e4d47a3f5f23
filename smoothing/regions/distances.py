"""Distances between images as intervals that surely hold them: arithmetic is exact, rounding goes outward."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothing.errors import require

_LEVELS = 255  # a uint8 pixel counts steps of 1/255
_SUM_ERROR = 2.0**-50  # relative; subtraction, fsum or dist (less than 1 ulp) and product err by 4 · 2^-53


@dataclass(frozen=True)
class Distance:
    """Intervals that surely hold the true distance of two points in each norm, pixel units.

    Raises:
        InvalidParameter: An interval is empty or not in [0, ∞), or an ℓ1 bound is below that of ℓ2.
    """

    l2_low: float
    l2_high: float
    l1_low: float
    l1_high: float

    def __post_init__(self) -> None:
        require(0.0 <= self.l2_low <= self.l2_high < math.inf, "l2", "be an interval in [0, inf)", self)
        require(0.0 <= self.l1_low <= self.l1_high < math.inf, "l1", "be an interval in [0, inf)", self)
        ordered = self.l2_low <= self.l1_low and self.l2_high <= self.l1_high
        require(ordered, "l1", "have no bound below that of l2", self)


def distance(x: NDArray[Any], y: NDArray[Any]) -> Distance:
    """The distance of two images in both norms, between bounds that are at most a few float64 apart.

    Args:
        x: Any shape; uint8 in steps of 1/255, or float64 in pixel units.
        y: Of the same shape and type.

    Raises:
        InvalidParameter: The shapes or types differ, the type is another, or an array is empty or not finite.

    >>> distance(np.array([0, 255], dtype=np.uint8), np.array([255, 255], dtype=np.uint8))
    Distance(l2_low=1.0, l2_high=1.0, l1_low=1.0, l1_high=1.0)
    """
    require(x.dtype in (np.uint8, np.float64), "x", "be uint8 or float64", str(x.dtype))
    require(y.dtype == x.dtype, "y", f"be {x.dtype} as 'x' is", str(y.dtype))
    require(x.size > 0, "x", "not be empty", x.shape)
    require(y.shape == x.shape, "y", f"have the shape {x.shape} of 'x'", y.shape)
    return _pixel_distance(x, y) if x.dtype == np.uint8 else _float_distance(x, y)


def sqrt_bounds(square: Fraction) -> tuple[float, float]:
    """The nearest float64 on each side of the square root."""
    low = high = math.sqrt(square)
    while Fraction(low) ** 2 > square:
        low = math.nextafter(low, 0.0)
    while Fraction(high) ** 2 < square:
        high = math.nextafter(high, math.inf)
    return low, high


def fraction_down(value: Fraction) -> float:
    """The largest float64 that is no larger than the value."""
    nearest = float(value)
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)


def _pixel_distance(x: NDArray[np.uint8], y: NDArray[np.uint8]) -> Distance:
    steps = x.astype(np.int64) - y
    l1 = Fraction(int(np.abs(steps).sum()), _LEVELS)
    l2 = sqrt_bounds(Fraction(int((steps * steps).sum()), _LEVELS**2))
    return _consistent(l2, (fraction_down(l1), -fraction_down(-l1)))


def _float_distance(x: NDArray[np.float64], y: NDArray[np.float64]) -> Distance:
    for name, array in (("x", x), ("y", y)):
        require(bool(np.isfinite(array).all()), name, "be finite", array)
    l2 = math.dist(x.ravel().tolist(), y.ravel().tolist())
    l1 = math.fsum(np.abs(x - y).ravel().tolist())
    return _consistent(_outward(l2), _outward(l1))


def _outward(value: float) -> tuple[float, float]:
    if value == 0.0:  # only where the points are the same: no difference and no sum of them underflows to 0
        return 0.0, 0.0
    low, high = value * (1.0 - _SUM_ERROR), value * (1.0 + _SUM_ERROR)
    return math.nextafter(low, 0.0), math.nextafter(high, math.inf)


def _consistent(l2: tuple[float, float], l1: tuple[float, float]) -> Distance:
    """Each norm's bound may serve the other, since ‖·‖₂ ≤ ‖·‖₁."""
    return Distance(l2[0], min(l2[1], l1[1]), max(l1[0], l2[0]), l1[1])
