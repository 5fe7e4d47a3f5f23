"""Rounding that can only weaken a claim."""

import math
from fractions import Fraction

from smoothing.errors import require

SLACK = Fraction(1, 10**12)
"""Margin taken off before rounding, times max(1, |value|): far above the error of Φ⁻¹ and of the
incomplete beta inverse (about 1e-15), far below any radius that matters."""


def round_down(value: float) -> float:
    """Round down to six decimals, so that what is printed or stored never exceeds what was proved.

    The result is at most ``value`` and, because ``SLACK`` is taken off first, at most the real number that
    ``value`` approximates. The arithmetic is exact; only the last step, to the nearest float64, rounds, and
    it is monotone. A non-negative value never becomes negative.

    The slack makes every call cost up to one unit of the last decimal place, also where ``value`` is a
    multiple of it already: round once, where the number leaves the computation.

    Args:
        value: A finite number, usually a radius in pixel units.

    Raises:
        InvalidParameter: ``value`` is not finite.

    >>> round_down(3.81149999), round_down(0.5), round_down(0.0)
    (3.811499, 0.499999, 0.0)
    """
    require(math.isfinite(value), "value", "be finite", value)
    units = math.floor((Fraction(value) - SLACK * Fraction(max(1.0, abs(value)))) * 10**6)
    return (max(units, 0) if value >= 0 else units) / 10**6
