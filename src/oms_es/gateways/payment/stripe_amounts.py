"""Amounts as Stripe counts them, in minor units of ISO 4217.

Source: https://docs.stripe.com/currencies, "Zero-decimal currencies", "Three-decimal currencies" and "Special cases". A
currency that is not in the table is counted as ISO 4217 does. HUF and TWD have no decimals in payouts, which are not
read here, and two in everything else.
"""

from __future__ import annotations

from oms_es.schemas.values.currency import exponent_of

STRIPE_EXPONENTS: dict[str, int] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF"), 0),
    **dict.fromkeys(("VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("ISK", "UGX"), 2),  # amounts have two decimals, and the last two digits are always 00
    # amounts have three decimals, and the last digit is always 0
    **dict.fromkeys(("BHD", "JOD", "KWD", "OMR", "TND"), 3),
    **dict.fromkeys(("HUF", "TWD"), 2),
}
"""Decimals of the amounts that Stripe sends. ISK, MGA and UGX differ from ISO 4217."""


def stripe_of(amount_minor: int, currency: str) -> int:
    """Convert minor units of ISO 4217 to Stripe's. Raise ValueError for a fraction of Stripe's smallest unit."""
    iso = exponent_of(currency)
    stripe = STRIPE_EXPONENTS.get(currency, iso)
    if stripe >= iso:
        return int(amount_minor * 10 ** (stripe - iso))
    whole, rest = divmod(amount_minor, 10 ** (iso - stripe))
    if rest:
        raise ValueError(f"{amount_minor} minor units of {currency} cannot be paid: Stripe counts whole {currency}")
    return int(whole)


def minor_of(amount: int, currency: str) -> int:
    """Convert Stripe's units to minor units of ISO 4217. Raise ValueError for a fraction of ISO 4217's
    smallest unit."""
    iso = exponent_of(currency)
    stripe = STRIPE_EXPONENTS.get(currency, iso)
    if stripe <= iso:
        return int(amount * 10 ** (iso - stripe))
    whole, rest = divmod(amount, 10 ** (stripe - iso))
    if rest:
        raise ValueError(f"{amount} is no whole amount of {currency}: its last {stripe - iso} digits are 0")
    return int(whole)
