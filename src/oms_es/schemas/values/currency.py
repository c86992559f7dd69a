"""Conversion of amounts as people and systems write them ("19.99") to integers of minor units, never by rounding."""

from __future__ import annotations

from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation

DEFAULT_EXPONENT = 2
MINOR_UNIT_EXPONENTS: dict[str, int] = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV"), 0
    ),
    **dict.fromkeys(("XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""The decimals of currencies that do not have two: ISO 4217, list one, column "minor unit"."""

COUNTED_OTHERWISE = frozenset({"ISK", "MGA", "UGX"})
"""Currencies that a payment provider counts with other decimals than ISO 4217 does, so that an amount without its
currency cannot be read."""

AMOUNT_DIGITS_MAX = 18
"""How many digits an amount in minor units may have: what fits a 64-bit integer."""

AMOUNT_CHARACTERS_MAX = 64
EXACTLY = Context(prec=AMOUNT_DIGITS_MAX, traps=[Inexact, InvalidOperation])


def exponent_of(currency: str) -> int:
    return MINOR_UNIT_EXPONENTS.get(currency, DEFAULT_EXPONENT)


def to_text(amount_minor: int, currency: str) -> str:
    """Return the amount as people write it: 1234567 minor units of EUR are "12,345.67 EUR"."""
    exponent = exponent_of(currency)
    return f"{Decimal(amount_minor).scaleb(-exponent):,.{exponent}f} {currency}"


def in_money(amount_minor: int, currency: str | None) -> str:
    """Return the amount as text, also if an older event does not state its currency."""
    return to_text(amount_minor, currency) if currency else f"{amount_minor} minor units"


def to_minor(amount: str | Decimal, currency: str) -> int:
    """Return the amount in minor units. Raise ValueError for what is no amount, and for a fraction of a minor unit."""
    exponent = exponent_of(currency)
    try:
        if isinstance(amount, str) and len(amount) > AMOUNT_CHARACTERS_MAX:
            raise InvalidOperation
        exact = Decimal(amount).quantize(Decimal((0, (1,), -exponent)), context=EXACTLY)
        return int(exact.scaleb(exponent, context=EXACTLY))
    except (DecimalException, ValueError) as error:
        given = str(amount)[:AMOUNT_CHARACTERS_MAX]
        raise ValueError(
            f"{given!r} is no exact amount of {currency}: "
            f"at most {exponent} decimals and {AMOUNT_DIGITS_MAX} digits are expected"
        ) from error
