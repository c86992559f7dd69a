"""The types that all messages share: identifiers, money, places, times.

A type itself allows what history may contain. What it has `AtTheDoor` is required of the sender of a new command: a
name that people and other systems can repeat, a time within the calendar, a number whose sums fit.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple
from unicodedata import normalize

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints, TypeAdapter

from oms_es.door import AtTheDoor
from oms_es.schemas.values.cards import has_card_number, looks_like_a_card_number, masked

IDENTIFIER_LENGTH_MAX = 128
SHORT_NAME_LENGTH_MAX = 60
"""How long a name may be that other names are made of, as `<return>/<inspection>/<number>`: these must fit
IDENTIFIER_LENGTH_MAX."""
DERIVED_LENGTH_MAX = 256
"""How long a name may be that the engine makes of two names and what distinguishes it."""
PLACE_NAME_LENGTH_MAX = 64
"""How long the name of a bin or a lot may be."""
TEXT_LENGTH_MAX = 500
UNITS_MAX = 10**12
"""How many units of one SKU a command may state: more than any order's lines can sum to."""
LINE_UNITS_MAX = 1_000_000
"""How many units one line of an order may have."""
COUNT_MAX = 2**53 - 1
"""The largest number of things that are only counted."""
AMOUNT_MINOR_MAX = 2**53 - 1
"""The greatest integer that every JSON reader keeps exact (RFC 8259, section 6)."""
YEARS = range(1970, 2200)
"""The years in which events may occur or be due: with any offset, and any term added, a time stays within the
calendar."""
OFFSET_MAX = timedelta(hours=16)
"""The largest accepted offset from UTC; PostgreSQL accepts offsets below it."""

UNSEEN = (
    r"\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\u3164\ufeff\uffa0\ufff9-\ufffb"
)
"""Control and format characters, line separators, fillers, and characters that turn the direction of writing: in a name
they deceive. Texts may contain them, because names of people need them."""
SPACES = "\ufeff\u200b\u2060"
"""Spaces without width, which `str.strip` leaves."""
_UNSEEN = re.compile(f"[{UNSEEN}\\ud800-\\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]")


def _name(length_max: int, *, empty: bool = False) -> AtTheDoor:
    """Normalise a name to Unicode's form C without surrounding spaces: names that look the same are the same."""

    def kept(value: str) -> str:
        if not (value.isascii() and value.isprintable() and value.strip() == value):
            normal = _stripped(normalize("NFC", value))
            value = value if value == normal else normal  # keep the same object if nothing changes
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
    """Lower the maximum of a number for senders, below what its type allows."""

    def kept(value: int) -> int:
        if value > maximum:
            raise ValueError(f"at most {maximum} is taken: split it")
        return value

    return AtTheDoor(kept, {"maximum": maximum})


def at_most_items(maximum: int) -> AtTheDoor:
    """Lower the maximum length of a list for senders, below what its type allows."""

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
"""A name that the engine makes other names of."""
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
"""The name of a part; empty if there is only one part."""
NAMED_OR_NOT = _name(IDENTIFIER_LENGTH_MAX, empty=True)
PLACE_NAME = _name(PLACE_NAME_LENGTH_MAX, empty=True)
NAME = _name(IDENTIFIER_LENGTH_MAX)
Channel = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
"""The source of orders, such as a web shop."""

EXCEPTION_ID_LENGTH_MAX = 600
ExceptionId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=EXCEPTION_ID_LENGTH_MAX, pattern=r"^[^\x00]+$"),
    _name(EXCEPTION_ID_LENGTH_MAX),
]
"""The id of an exception: its kind, and the names of what it concerns."""


def without_card_number(text: str) -> str:
    """Return the text. Raise ValueError, without repeating the text, if it contains a card number."""
    if has_card_number(text):
        raise ValueError("there is a card number in it, which is never kept here: leave it out")
    return text


PlainText = Annotated[str, StringConstraints(max_length=TEXT_LENGTH_MAX, pattern=r"^[^\x00]*$")]
"""A text of another system. PostgreSQL cannot store the character NUL."""
Text = Annotated[PlainText, AtTheDoor(without_card_number)]
"""A text that a person writes."""
QuotedText = Annotated[PlainText, AtTheDoor(masked)]
"""A text that others wrote, such as a payment provider. It is accepted, with card numbers masked."""


def refuse_card_number(text: str) -> str:
    """Return the text. Raise ValueError, without repeating it, if it contains or looks like a card number."""
    if looks_like_a_card_number(text) or has_card_number(text):
        raise ValueError("this looks like a card number, which is never kept here: send the provider's token for it")
    return text


Token = Annotated[Identifier, AtTheDoor(refuse_card_number)]
"""A token for a means of payment, as people and channels send it: never a card number. References of providers and
carriers may have 16 digits with a right check digit, so they are plain identifiers."""

Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
"""ISO 3166-1 alpha-2 code."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217 code."""

EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


BEGINS, ENDS = datetime(YEARS[0], 1, 1, tzinfo=UTC), datetime(YEARS[-1] + 1, 1, 1, tzinfo=UTC)


def expressible(moment: datetime) -> datetime:
    """Return the same instant in a form that the database and every reader can express; at the ends of the calendar the
    nearest one.
    """
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
    """Return the time shifted; beyond the ends of the calendar, which history may contain, the last one within."""
    try:
        return moment + by
    except OverflowError:
        return LATEST if by > timedelta(0) else EARLIEST


def _within_the_calendar(moment: datetime) -> datetime:
    if not BEGINS <= moment < ENDS:
        raise ValueError(f"a year from {YEARS[0]} to {YEARS[-1]} in UTC is expected: correct the date")
    return moment


WRITTEN = TypeAdapter(AwareDatetime)


def _as_written(value: object) -> object:
    """Return the value, a text as its time. Raise ValueError for a number: "20260105" means a day, and would be read as
    seconds since 1970.
    """
    if isinstance(value, int | float) or (isinstance(value, str) and ":" not in value):
        raise ValueError("a date with its time and offset is expected, such as 2026-01-05T09:30:00+01:00")
    return WRITTEN.validate_strings(value, strict=True) if isinstance(value, str) else value


Moment = Annotated[
    AwareDatetime, BeforeValidator(_as_written), AfterValidator(expressible), AtTheDoor(_within_the_calendar)
]
"""A point in time with its offset; one without an offset, or a number of seconds, is refused. An offset of 16 hours and
more is converted to UTC."""

AmountMinor = Annotated[int, Field(ge=0, le=AMOUNT_MINOR_MAX)]
"""Money in minor units of its currency (cents, yen, fils): never a fraction, never a float."""


Units = Annotated[int, Field(gt=0, le=UNITS_MAX)]
"""A positive number of pieces."""

LineQuantity = Annotated[Units, at_most(LINE_UNITS_MAX)]
"""The number of pieces of one line of an order."""


class StockKey(NamedTuple):
    """The key of a stock stream: one SKU at one location."""

    sku: str
    location: str

    @property
    def stream(self) -> str:
        return f"stock-{self.sku}@{self.location}"
