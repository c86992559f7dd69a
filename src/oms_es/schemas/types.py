"""The words that every message shares: identifiers, money, places."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

IDENTIFIER_LENGTH_MAX = 128
TEXT_LENGTH_MAX = 500
UNITS_MAX = 10**12
"""Of one SKU in one command: more than any order's lines can sum to."""
AMOUNT_MINOR_MAX = 2**53 - 1
"""The greatest integer that every JSON reader keeps exact (RFC 8259, section 6)."""

Sku = Annotated[str, StringConstraints(min_length=1, max_length=IDENTIFIER_LENGTH_MAX, pattern=r"^[^\s@\x00]+$")]
LocationId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=IDENTIFIER_LENGTH_MAX, pattern=r"^[^\x00]+$")]
Channel = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
"""Where orders come from."""

Text = Annotated[str, StringConstraints(max_length=TEXT_LENGTH_MAX, pattern=r"^[^\x00]*$")]
"""What a person writes. PostgreSQL cannot keep the character NUL."""

CARD_NUMBER_DIGITS = range(12, 20)
"""How long the number of a payment card is (ISO/IEC 7812)."""


def looks_like_a_card_number(text: str) -> bool:
    """12 to 19 digits, grouped or not, whose check digit is right (ISO/IEC 7812-1, annex B)."""
    digits = text.translate({ord(" "): None, ord("-"): None})
    if not (digits.isascii() and digits.isdigit() and len(digits) in CARD_NUMBER_DIGITS):
        return False
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(sum(divmod(n, 10)) for n in doubled) % 10 == 0


def refuse_card_number(text: str) -> str:
    """Raises ValueError, which does not repeat it."""
    if looks_like_a_card_number(text):
        raise ValueError("this looks like a card number, which is never kept here: send the provider's token for it")
    return text


Token = Annotated[Identifier, AfterValidator(refuse_card_number)]
"""A provider's own name of a means of payment or of an effect, never a card number."""

Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
"""ISO 3166-1 alpha-2 code."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217 code."""

Moment = AwareDatetime
"""A point in time with its offset: a naive one is refused at the door."""

AmountMinor = Annotated[int, Field(ge=0, le=AMOUNT_MINOR_MAX)]
"""Money in minor units of its currency (cents, yen, fils): never a fraction, never a float."""


Units = Annotated[int, Field(gt=0, le=UNITS_MAX)]
"""A positive number of pieces."""


class StockKey(NamedTuple):
    """Where a promise is kept: one SKU at one location."""

    sku: str
    location: str

    @property
    def stream(self) -> str:
        return f"stock-{self.sku}@{self.location}"
