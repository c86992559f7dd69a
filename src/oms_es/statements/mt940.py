"""MT940, the statement message of SWIFT: fields that begin with a tag between colons.

Invariant: the sign of an entry is that of its mark alone, by MARKS; each `:20:` begins a statement of its own, with its
own account and balances, which its entries must explain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import NamedTuple

from oms_es.schemas.finance.statement import StatementLine
from oms_es.schemas.values.currency import to_text
from oms_es.schemas.values.types import SHORT_NAME_LENGTH_MAX
from oms_es.statements.reading import (
    Options,
    Statement,
    clean,
    currency_of,
    line_of,
    minor_of,
    references_of,
    refuse,
    require_few,
    text_of,
)

TAG = re.compile(r":([0-9]{2}[A-Z]?):(.*)")
KNOWN = frozenset({"20", "21", "25", "28", "28C", "13", "13D", "60F", "60M", "61", "86", "62F", "62M", "64", "65"})
ONCE = ("20", "25", "28C", "60", "62")
MARKS: Mapping[str, tuple[int, bool]] = {"C": (1, False), "D": (-1, False), "RC": (-1, True), "RD": (1, True)}
"""For each mark of an entry the sign of its effect on the balance, and whether it reverses an earlier entry."""
BALANCE = re.compile(r"([CD])([0-9]{6})([A-Z]{3})([0-9]{1,12},[0-9]{0,3})")
ENTRY = re.compile(
    r"(?P<value>[0-9]{6})(?P<entry>[0-9]{4})?(?P<mark>RC|RD|C|D)(?P<funds>[A-Z])?(?P<amount>[0-9]{1,12},[0-9]{0,3})"
    r"(?P<type>[NFS][A-Z0-9]{3})(?P<reference>.*?)(?://(?P<own>.*))?"
)
SUBFIELD = re.compile(r"\?([0-9]{2})")
NAMED = "EREF|KREF|MREF|PREF|CRED"
NAMED_REFERENCE = re.compile(rf"(?:{NAMED})\+(.*?)(?=(?:{NAMED}|DEBT|SVWZ|ABWA|ABWE|COAM|OAMT|IBAN|BIC)\+|$)")
"""References as German banks write them into the text."""
SLASHED_REFERENCE = re.compile(r"/(?:EREF|PREF|MARF|REMI/USTD|CSID)/+([^/]+)")
CENTURY = 80
"""A year of two digits from here on belongs to the last century."""


class Field(NamedTuple):
    line: int
    tag: str
    text: str


class Balance(NamedTuple):
    currency: str
    day: str
    amount_minor: int


def read(content: bytes, options: Options) -> Sequence[Statement]:
    fields = list(_fields(text_of(content, options)))
    if not fields or fields[0].tag != "20":
        refuse(1, "a statement begins with :20:", "give a file in MT940")
    starts = [place for place, field in enumerate(fields) if field.tag == "20"]
    return [_statement(fields[begin:end]) for begin, end in zip(starts, [*starts[1:], None], strict=True)]


def _fields(text: str) -> Iterator[Field]:
    """Yield the fields, each with its following lines; envelopes in braces, and the dash that ends a message,
    belong to none.
    """
    current: Field | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.rstrip()
        found = TAG.fullmatch(line)
        if found:
            if current:
                yield current
            if found[1] not in KNOWN:
                refuse(number, f"the field :{found[1]}: is not one of a statement", "give a file in MT940")
            current = Field(number, found[1], found[2])
        elif line in ("-", "-}", "") or line.startswith(("{", "-}{")):
            if current:
                yield current
            current = None
        elif current is None:
            refuse(number, "there is text that belongs to no field")
        else:
            current = current._replace(text=f"{current.text}\n{line}")
    if current:
        yield current


def _statement(fields: Sequence[Field]) -> Statement:
    single = _single(fields)
    opening, closing = _balance(single["60"]), _balance(single["62"])
    if opening.currency != closing.currency:
        refuse(single["62"].line, f"it closes in {closing.currency} and opens in {opening.currency}")
    lines = list(_entries(fields, single, opening.currency))
    require_few(lines)
    booked = sum(line.amount_minor for line in lines)
    if missing := closing.amount_minor - opening.amount_minor - booked:
        words = to_text(missing, closing.currency)
        refuse(single["62"].line, f"opening balance and entries do not sum to the closing one: {words} is missing")
    number = clean(single["28C"].text) if "28C" in single else clean(single["20"].text)
    return Statement(
        format="mt940",
        account_number=clean(single["25"].text),
        statement_id=f"{closing.day}/{number}"[:SHORT_NAME_LENGTH_MAX],
        currency=opening.currency,
        opened_on=opening.day,
        closed_on=closing.day,
        opening_minor=opening.amount_minor,
        closing_minor=closing.amount_minor,
        lines=tuple(lines),
    )


def _single(fields: Sequence[Field]) -> dict[str, Field]:
    """Return the fields that a statement has once, by tag without the letter for the page."""
    found: dict[str, Field] = {}
    for field in fields:
        tag = {"28": "28C"}.get(field.tag, field.tag if field.tag == "28C" else field.tag[:2])
        if tag not in ONCE:
            continue
        if tag in found:
            refuse(field.line, f"the statement has a second :{field.tag}:")
        found[tag] = field
    if missing := [tag for tag in ("25", "60", "62") if tag not in found]:
        refuse(fields[-1].line, f"the statement has no :{missing[0]}:, so it is not whole")
    return found


def _balance(field: Field) -> Balance:
    found = BALANCE.fullmatch(field.text)
    if not found:
        return refuse(field.line, f"{field.text!r} is no balance, such as C260131EUR100,00")
    mark, day, code, amount = found.groups()
    currency = currency_of(code, field.line)
    sign = 1 if mark == "C" else -1
    return Balance(currency, _day(day, field.line), sign * _amount(amount, currency, field.line))


def _amount(text: str, currency: str, line: int) -> int:
    return minor_of(text.replace(",", "."), currency, line)


def _day(text: str, line: int) -> str:
    year = int(text[:2])
    with suppress(ValueError):
        return date(year + (1900 if year >= CENTURY else 2000), int(text[2:4]), int(text[4:])).isoformat()
    return refuse(line, f"{text!r} is no day, written as YYMMDD")


def _entries(fields: Sequence[Field], single: Mapping[str, Field], currency: str) -> Iterator[StatementLine]:
    for place, field in enumerate(fields):
        if field.tag == "61":
            if not single["60"].line < field.line < single["62"].line:
                refuse(field.line, "an entry stands outside the balances")
            after = fields[place + 1] if place + 1 < len(fields) else None
            yield _entry(field, after.text if after and after.tag == "86" else "", currency)


def _entry(field: Field, details: str, currency: str) -> StatementLine:
    first, _, more = field.text.partition("\n")
    found = ENTRY.fullmatch(first)
    if not found:
        return refuse(field.line, f"{first!r} is no entry")
    if found["funds"] and found["funds"] != currency[2]:
        refuse(field.line, f"the entry is in a currency that ends with {found['funds']}, the account is in {currency}")
    sign, reversal = MARKS[found["mark"]]
    value = _day(found["value"], field.line)
    joined = SUBFIELD.sub("", details).replace("\n", "")
    named = [*NAMED_REFERENCE.findall(joined), *SLASHED_REFERENCE.findall(joined)]
    return line_of(
        field.line,
        kind="transfer",
        line_id=clean(found["own"] or ""),
        booked_on=_entry_day(found["entry"], value, field.line) if found["entry"] else value,
        value_on=value,
        amount_minor=sign * _amount(found["amount"], currency, field.line),
        reversal=reversal,
        references=references_of(found["reference"], found["own"] or "", *named),
        text=SUBFIELD.sub(" ", details).replace("\n", "") or more,
    )


def _entry_day(text: str, value: str, line: int) -> str:
    """Return the day of an entry, in the year in which it is nearest to the value date."""
    near = date.fromisoformat(value)
    days = []
    for year in (near.year - 1, near.year, near.year + 1):
        with suppress(ValueError):
            days.append(date(year, int(text[:2]), int(text[2:])))
    if not days:
        refuse(line, f"{text!r} is no day, written as MMDD")
    return min(days, key=lambda day: abs((day - near).days)).isoformat()
