"""The words that every message shares: identifiers, money, places, moments.

What a type itself allows is what history may hold. What it has `AtTheDoor` is asked of the sender of a command: a
name as people and other systems can repeat it, a moment within the calendar, a number whose sums fit.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple
from unicodedata import normalize

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from oms_es.door import AtTheDoor
from oms_es.schemas.values.cards import has_card_number, looks_like_a_card_number, masked

IDENTIFIER_LENGTH_MAX = 128
SHORT_NAME_LENGTH_MAX = 60
"""Of a name that others are made of, as `<return>/<inspection>/<number>`: they fit IDENTIFIER_LENGTH_MAX, too."""
DERIVED_LENGTH_MAX = 256
"""Of a name of which the engine made another: two names, and what distinguishes it."""
PLACE_NAME_LENGTH_MAX = 64
"""Of a bin or a lot."""
TEXT_LENGTH_MAX = 500
UNITS_MAX = 10**12
"""Of one SKU in one command: more than any order's lines can sum to."""
LINE_UNITS_MAX = 1_000_000
"""Of one line of an order."""
COUNT_MAX = 2**53 - 1
"""Of what is only counted up."""
AMOUNT_MINOR_MAX = 2**53 - 1
"""The greatest integer that every JSON reader keeps exact (RFC 8259, section 6)."""
YEARS = range(1970, 2200)
"""In which anything can happen, or be due: any offset, and any term that is added, stays within the calendar."""
OFFSET_MAX = timedelta(hours=16)
"""From UTC: PostgreSQL takes offsets below it."""

UNSEEN = (
    r"\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\u3164\ufeff\uffa0\ufff9-\ufffb"
)
"""Control and format characters, line separators, fillers, and those that turn the direction of writing: in a name they
deceive. Texts keep them, where names of people need them."""
SPACES = "\ufeff\u200b\u2060"
"""Of no width, which `str.strip` leaves."""
_UNSEEN = re.compile(f"[{UNSEEN}\\ud800-\\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]")


def _name(length_max: int, *, empty: bool = False) -> AtTheDoor:
    """In Unicode's normal form C and without spaces around it, so that names that look the same are the same."""

    def kept(value: str) -> str:
        if not (value.isascii() and value.isprintable() and value.strip() == value):
            normal = _stripped(normalize("NFC", value))
            value = value if value == normal else normal  # itself, where nothing is to be done
            if unseen := _UNSEEN.search(value):
                code = f"U+{ord(unseen[0]):04X}"
                raise ValueError(f"a name has no characters that are not seen: leave {code} out")
        if not (value or empty):
            raise ValueError("a name is more than spaces: give one")
        if len(value) > length_max:
            raise ValueError(f"at most {length_max} characters are taken: shorten it")
        return value

    return AtTheDoor(kept, {"pattern": f"^[^{UNSEEN}]{'*' if empty else '+'}$", "maxLength": length_max})


def _stripped(value: str) -> str:
    while (shorter := value.strip().strip(SPACES)) != value:
        value = shorter
    return value


def at_most(maximum: int) -> AtTheDoor:
    """A number that its type would let be greater."""

    def kept(value: int) -> int:
        if value > maximum:
            raise ValueError(f"at most {maximum} is taken: split it")
        return value

    return AtTheDoor(kept, {"maximum": maximum})


def at_most_items(maximum: int) -> AtTheDoor:
    """A list that its type would let be longer."""

    def kept(values: Any) -> Any:
        if len(values) > maximum:
            raise ValueError(f"at most {maximum} are taken at once: split it")
        return values

    return AtTheDoor(kept, {"maxItems": maximum})


Sku = Annotated[
    str,
    StringConstraints(min_length=1, max_length=IDENTIFIER_LENGTH_MAX, pattern=r"^[^\s@\x00]+$"),
    AtTheDoor(_name(IDENTIFIER_LENGTH_MAX).check, {"pattern": rf"^[^\s@{UNSEEN}]+$"}),
]
LocationId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
Identifier = Annotated[
    str,
    StringConstraints(min_length=1, max_length=IDENTIFIER_LENGTH_MAX, pattern=r"^[^\x00]+$"),
    _name(IDENTIFIER_LENGTH_MAX),
]
ShortName = Annotated[Identifier, _name(SHORT_NAME_LENGTH_MAX)]
"""A name that the engine makes others of."""
Derived = Annotated[
    str,
    StringConstraints(min_length=1, max_length=DERIVED_LENGTH_MAX, pattern=r"^[^\x00]+$"),
    _name(DERIVED_LENGTH_MAX),
]
"""A name that the engine may have made of others."""
PartName = Annotated[
    str,
    StringConstraints(max_length=IDENTIFIER_LENGTH_MAX, pattern=r"^[^\x00]*$"),
    _name(IDENTIFIER_LENGTH_MAX, empty=True),
]
"""Of a part of something; empty where there is only one."""
NAMED_OR_NOT = _name(IDENTIFIER_LENGTH_MAX, empty=True)
PLACE_NAME = _name(PLACE_NAME_LENGTH_MAX, empty=True)
NAME = _name(IDENTIFIER_LENGTH_MAX)
Channel = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
"""Where orders come from."""

EXCEPTION_ID_LENGTH_MAX = 600
ExceptionId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=EXCEPTION_ID_LENGTH_MAX, pattern=r"^[^\x00]+$"),
    _name(EXCEPTION_ID_LENGTH_MAX),
]
"""What an exception is about: its kind, and the names of what it concerns."""


def without_card_number(text: str) -> str:
    """Raises ValueError, which does not repeat it."""
    if has_card_number(text):
        raise ValueError("there is a card number in it, which is never kept here: leave it out")
    return text


PlainText = Annotated[str, StringConstraints(max_length=TEXT_LENGTH_MAX, pattern=r"^[^\x00]*$")]
"""What another system calls something. PostgreSQL cannot keep the character NUL."""
Text = Annotated[PlainText, AtTheDoor(without_card_number)]
"""What a person writes."""
QuotedText = Annotated[PlainText, AtTheDoor(masked)]
"""What others wrote, such as a payment provider. It counts, and a card's number in it is masked."""


def refuse_card_number(text: str) -> str:
    """Raises ValueError, which does not repeat it."""
    if looks_like_a_card_number(text) or has_card_number(text):
        raise ValueError("this looks like a card number, which is never kept here: send the provider's token for it")
    return text


Token = Annotated[Identifier, AtTheDoor(refuse_card_number)]
"""A means of payment as people and channels name it: never a card number. Providers and carriers may call what they
did by 16 digits whose check digit is right: such references are plain identifiers."""

Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
"""ISO 3166-1 alpha-2 code."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217 code."""

EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


BEGINS, ENDS = datetime(YEARS[0], 1, 1, tzinfo=UTC), datetime(YEARS[-1] + 1, 1, 1, tzinfo=UTC)


def expressible(moment: datetime) -> datetime:
    """The same instant, as a database and every reader can express it; at the ends of the calendar the nearest."""
    offset = moment.utcoffset()
    assert offset is not None
    plain = abs(offset) < OFFSET_MAX and not offset.seconds % 60
    if plain and EARLIEST.year < moment.year < LATEST.year:
        return moment
    try:
        in_utc = moment.astimezone(UTC)
    except OverflowError:
        return EARLIEST if moment.year == EARLIEST.year else LATEST
    return moment if plain else in_utc


def shifted(moment: datetime, by: timedelta) -> datetime:
    """So much later, or earlier; at the ends of the calendar, where history may stand, its last moment."""
    try:
        return moment + by
    except OverflowError:
        return LATEST if by > timedelta(0) else EARLIEST


def _within_the_calendar(moment: datetime) -> datetime:
    if not BEGINS <= moment < ENDS:
        raise ValueError(f"a year from {YEARS[0]} to {YEARS[-1]} in UTC is expected: correct the date")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(expressible), AtTheDoor(_within_the_calendar)]
"""A point in time with its offset: a naive one is refused. An offset of 16 hours and more is taken in UTC."""

AmountMinor = Annotated[int, Field(ge=0, le=AMOUNT_MINOR_MAX)]
"""Money in minor units of its currency (cents, yen, fils): never a fraction, never a float."""


Units = Annotated[int, Field(gt=0, le=UNITS_MAX)]
"""A positive number of pieces."""

LineQuantity = Annotated[Units, at_most(LINE_UNITS_MAX)]
"""Pieces of one line of an order."""


class StockKey(NamedTuple):
    """Where a promise is kept: one SKU at one location."""

    sku: str
    location: str

    @property
    def stream(self) -> str:
        return f"stock-{self.sku}@{self.location}"
