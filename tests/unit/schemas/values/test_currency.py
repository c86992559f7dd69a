"""An amount becomes minor units exactly, or not at all."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_es.schemas.values.currency import AMOUNT_DIGITS_MAX, MINOR_UNIT_EXPONENTS, exponent_of, to_minor


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("19.99", "EUR", 1999),
        ("19.9", "EUR", 1990),
        ("19", "EUR", 1900),
        ("19.990000", "EUR", 1999),
        ("-0.01", "EUR", -1),
        ("1000", "JPY", 1000),
        ("1000.00", "JPY", 1000),
        ("1.234", "KWD", 1234),
        ("1.2345", "CLF", 12345),
        (Decimal("0.1") + Decimal("0.2"), "USD", 30),
    ],
)
def test_an_amount_in_minor_units(amount: str | Decimal, currency: str, minor: int) -> None:
    assert to_minor(amount, currency) == minor


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("19.999", "EUR"),
        ("0.5", "JPY"),
        ("1.2345", "KWD"),
        ("", "EUR"),
        ("12,50", "EUR"),
        ("NaN", "EUR"),
        ("Infinity", "EUR"),
        ("1e999999999", "EUR"),
        ("1e-999999999", "EUR"),
        ("9" * AMOUNT_DIGITS_MAX, "EUR"),
        ("1." + "0" * 1_000_000, "EUR"),
    ],
)
def test_what_is_no_exact_amount_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(ValueError, match=f"no exact amount of {currency}"):
        to_minor(amount, currency)


def test_a_fraction_too_small_for_a_float_is_still_refused() -> None:
    with pytest.raises(ValueError, match="no exact amount"):
        to_minor("10.00000000000000000000000000000000000000000000000001", "EUR")


@given(st.integers(-(10**17), 10**17), st.sampled_from(["EUR", "USD", *MINOR_UNIT_EXPONENTS]))
def test_every_amount_comes_back_exactly(minor: int, currency: str) -> None:
    amount = Decimal(minor).scaleb(-exponent_of(currency))
    assert to_minor(amount, currency) == to_minor(f"{amount:f}", currency) == minor
