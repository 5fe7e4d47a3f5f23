"""Numbers for people. A radius is rounded down, never up."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal


def floor(value: float, decimals: int = 4) -> str:
    """Returns ``value`` with this many decimals, rounded down.

    >>> floor(0.81239), floor(0.3)
    ('0.8123', '0.3000')
    """
    return str(Decimal(repr(value)).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_FLOOR))


def ceiling(value: float) -> str:
    """Returns ``value`` with four decimals, rounded up: for upper bounds.

    >>> ceiling(0.81231), ceiling(0.3)
    ('0.8124', '0.3000')
    """
    return str(Decimal(repr(value)).quantize(Decimal("0.0001"), rounding=ROUND_CEILING))


def in_255(value: float) -> str:
    """Returns a radius in units of 0–255 pixels, rounded down.

    >>> in_255(0.5)
    '127.5'
    """
    return str((Decimal(repr(value)) * 255).quantize(Decimal("0.1"), rounding=ROUND_FLOOR))
