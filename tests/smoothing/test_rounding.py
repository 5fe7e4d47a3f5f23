"""Rounding can only weaken a claim."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothing import InvalidParameter, Radii, round_down

finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)


@given(value=finite)
def test_result_never_exceeds_the_value(value: float) -> None:
    """The stored number is at most the computed one, in exact comparison."""
    assert Decimal(round_down(value)) <= Decimal(value)


@given(value=finite)
def test_loss_is_at_most_one_unit_of_the_last_place(value: float) -> None:
    """Rounding costs no more than it must: one unit and the slack."""
    slack = 2e-12 * max(1.0, abs(value))
    assert round_down(value) >= value - 1e-6 - slack


@given(value=st.floats(min_value=0.0, max_value=1e9))
def test_non_negative_stays_non_negative(value: float) -> None:
    """A radius never becomes negative, nor minus zero."""
    assert math.copysign(1.0, round_down(value)) == 1.0


@given(one=finite, other=finite)
def test_order_is_kept(one: float, other: float) -> None:
    """Rounding is monotone."""
    low, high = sorted((one, other))
    assert round_down(low) <= round_down(high)


@given(value=st.floats(min_value=1e-3, max_value=1e3), error=st.floats(-5e-13, 5e-13))
def test_error_of_the_special_functions_is_covered(value: float, error: float) -> None:
    """A value computed too large by a relative 5e-13 is still rounded below the true number."""
    assert round_down(value * (1.0 + error)) <= value


@given(value=st.floats(min_value=0.0, max_value=1e6))
def test_result_has_six_decimals(value: float) -> None:
    """It prints with at most six decimal places."""
    rounded = round_down(value)
    assert float(f"{rounded:.6f}") == rounded


def test_known_values() -> None:
    """Values one can check by eye; 0.3 in float64 is less than 0.3, 0.1 is more."""
    assert round_down(0.640775782) == 0.640775
    assert round_down(0.3) == 0.299999
    assert round_down(0.1) == 0.099999
    assert round_down(0.0) == 0.0
    assert round_down(1e-9) == 0.0
    assert round_down(-0.5) == -0.500001


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_infinite_values_are_refused(value: float) -> None:
    """No finite number of votes proves an infinite radius."""
    with pytest.raises(InvalidParameter, match="'value' must be finite"):
        round_down(value)


def test_radii_round_down_in_every_norm() -> None:
    """The record rounds as its parts do."""
    assert Radii(l2=1.2345678, l1=2.0, linf=0.0).rounded_down() == Radii(l2=1.234567, l1=1.999999, linf=0.0)
