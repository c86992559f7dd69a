"""The customer of an order, as their channel knows them, with notes and metadata.

A customer belongs to one channel: if two channels know a person by the same id, they are two customers here.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import StringConstraints, model_validator

from oms_es.door import AtTheDoor
from oms_es.kernel import Message
from oms_es.schemas.values.cards import digits_of, is_card_number
from oms_es.schemas.values.personal import PERSONAL
from oms_es.schemas.values.types import IDENTIFIER_LENGTH_MAX, Identifier, ShortName, Text, without_card_number

EMAIL_LENGTH_MAX = 254
"""The length of an address in SMTP (RFC 5321, section 4.5.3.1.3)."""
PHONE_LENGTH_MAX = 64
PHONE_DIGITS = range(3, 16)
"""How many digits a telephone number may have: at most as many as in E.164, including an extension."""
CARD_LIKE_DIGITS_MIN = 14
"""From so many digits on a number is checked: telephone numbers hardly ever have as many, and card numbers rarely
fewer."""
LANGUAGE_LENGTH_MAX = 35
NOTES_LENGTH_MAX = 2_000
METADATA_MAX = 30

CustomerId = Annotated[str, StringConstraints(max_length=IDENTIFIER_LENGTH_MAX), PERSONAL]
"""The id of the order's customer at the channel; empty if the order names none."""


def _telephone(value: str) -> str:
    digits = digits_of(value)
    if len(digits) not in PHONE_DIGITS:
        raise ValueError(f"a telephone number has {PHONE_DIGITS[0]} to {PHONE_DIGITS[-1]} digits: correct it")
    if len(digits) >= CARD_LIKE_DIGITS_MIN and is_card_number(digits):
        raise ValueError("this looks like a card number, which is never kept here: leave it out")
    return value


Email = Annotated[
    str,
    StringConstraints(max_length=EMAIL_LENGTH_MAX, pattern=r"^[^\s@\x00]+@[^\s@\x00]+$"),
    AtTheDoor(without_card_number),
]
Phone = Annotated[
    str,
    StringConstraints(min_length=1, max_length=PHONE_LENGTH_MAX, pattern=r"^[^\x00]+$"),
    AtTheDoor(_telephone),
]
"""A telephone number as people write it, with spaces and an extension."""
Language = Annotated[
    str,
    StringConstraints(max_length=LANGUAGE_LENGTH_MAX, pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$"),
]
"""A tag of BCP 47, such as `de` or `zh-Hant-TW`."""
Notes = Annotated[
    str,
    StringConstraints(max_length=NOTES_LENGTH_MAX, pattern=r"^[^\x00]*$"),
    AtTheDoor(without_card_number),
]
MetadataKey = Annotated[ShortName, AtTheDoor(without_card_number)]
MetadataValue = Text


class Customer(Message):
    """The customer who ordered, as their channel knows them. A guest has an e-mail or a telephone number, and no id."""

    customer_id: Annotated[Identifier | None, PERSONAL] = None
    """The customer's id at this channel."""
    email: Annotated[Email | None, PERSONAL] = None
    phone: Annotated[Phone | None, PERSONAL] = None
    language: Language | None = None
    """The language in which the customer is written to."""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not (self.customer_id or self.email or self.phone or self.language):
            raise ValueError("a customer has a customer_id, an email, a phone or a language: give one, or leave it out")
        return self


class OfCustomer(Message):
    """The customer of an order; empty if the order names none."""

    channel: str = ""
    customer_id: CustomerId = ""
