"""What all formats share: decoding, exact amounts, dates, tables with a header, refusals that name the line.

Invariant: an amount is never rounded and a sign is never guessed; what cannot be read for certain is refused.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Any, NamedTuple, NoReturn

from pydantic import ValidationError

from oms_es.kernel import BadInput
from oms_es.schemas.finance.statement import LINES_MAX, REFERENCES_MAX, StatementLine
from oms_es.schemas.inputs import Input
from oms_es.schemas.problems import problems
from oms_es.schemas.values.cards import masked
from oms_es.schemas.values.currency import exponent_of, to_minor, to_text
from oms_es.schemas.values.types import IDENTIFIER_LENGTH_MAX, TEXT_LENGTH_MAX, YEARS

BYTES_MAX = 10_000_000
"""How many bytes a file may have: as many as a kept document."""
ENCODINGS = {"utf-8": "utf-8-sig", "gb18030": "gb18030", "latin-1": "iso-8859-1"}
"""Python's names of the encodings that a person can choose."""
CHINA = timezone(timedelta(hours=8))
AMOUNT = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{0,10})?")
GROUPED = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]{0,10})?")
CURRENCY = re.compile(r"[A-Z]{3}")
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]+")


class Options(NamedTuple):
    """What a person states about a file because the file does not."""

    encoding: str | None = None
    mapping: str | None = None
    """For a CSV: the mapping of columns, in TOML."""


class Statement(NamedTuple):
    """A statement of one account and one period. `statement_id` is the file's own name for it."""

    format: str
    account_number: str
    statement_id: str
    currency: str
    opened_on: str
    closed_on: str
    opening_minor: int | None
    closing_minor: int | None
    lines: tuple[StatementLine, ...]


def refuse(line: int | None, why: str, to_do: str = "fetch the whole file again, as it was sent") -> NoReturn:
    where = f"line {line}: " if line is not None else ""
    raise BadInput(Input.BAD_STATEMENT, masked(f"{where}{why}; {to_do}"))


def text_of(content: bytes, options: Options, usual: Sequence[str] = ("utf-8",)) -> str:
    """Return the decoded text. Raise BadInput if the file is too large, or not text in the encoding."""
    if not 0 < len(content) <= BYTES_MAX:
        refuse(None, f"a file has between 1 and {BYTES_MAX} bytes, this one has {len(content)}", "split the period")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in content:
        refuse(None, "the file is binary, or UTF-16", "write it as UTF-8, or give the file that was sent")
    if options.encoding is not None and options.encoding not in ENCODINGS:
        refuse(None, f"the encoding {options.encoding} is not known", f"name one of {', '.join(ENCODINGS)}")
    names = [options.encoding] if options.encoding else list(usual)
    for name in names:
        with suppress(UnicodeDecodeError):
            return content.decode(ENCODINGS[name])
    others = ", ".join(name for name in ENCODINGS if name not in names)
    return refuse(None, f"the file is not text in {' or '.join(names)}", f"say which it is with --encoding: {others}")


def minor_of(text: str, currency: str, line: int | None) -> int:
    """Return an exact amount in minor units, with or without commas between thousands. Raise BadInput otherwise."""
    plain = text.replace(",", "") if GROUPED.fullmatch(text) else text
    if not AMOUNT.fullmatch(plain):
        refuse(line, f"{text!r} is no amount of {currency}")
    try:
        return to_minor(Decimal(plain), currency)
    except ValueError as error:
        return refuse(line, str(error))


def unsigned_of(text: str, currency: str, line: int | None) -> int:
    amount = minor_of(text, currency, line)
    if amount < 0 or text.startswith(("+", "-")):
        refuse(line, f"{text!r} has a sign, where only its mark says which way it goes")
    return amount


def fee_of(text: str, currency: str, line: int) -> tuple[int, str]:
    """Return a fee in minor units, rounded half up as providers charge it, and its text if it had a fraction of a
    minor unit.
    """
    if not AMOUNT.fullmatch(text):
        refuse(line, f"{text!r} is no fee in {currency}")
    exact = Decimal(text).scaleb(exponent_of(currency))
    whole = exact.quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return int(whole), "" if whole == exact else text


def currency_of(text: str, line: int | None) -> str:
    return text if CURRENCY.fullmatch(text) else refuse(line, f"{text!r} is no currency, such as EUR")


def day_of(text: str, pattern: str, line: int | None) -> str:
    """Return a date in the form of ISO 8601."""
    return moment_of(text, pattern, line).date().isoformat()


def moment_of(text: str, pattern: str, line: int | None) -> datetime:
    """Return a time as it is written, with or without an offset."""
    try:
        moment = datetime.strptime(text, pattern)  # noqa: DTZ007 - callers give the zone that the format means
    except ValueError:
        return refuse(line, f"{text!r} is no date as expected here, {pattern}")
    if moment.year not in YEARS or any(one.isdigit() and not one.isascii() for one in text):
        refuse(line, f"{text!r} is no date of a statement")
    return moment


def iso_day(text: str, line: int | None) -> str:
    """Return the day of an ISO 8601 date or time, as the account's holder reads it."""
    with suppress(ValueError):
        day = date.fromisoformat(text[:10])
        if day.year in YEARS and (len(text) == len("2026-01-31") or text[10] in "TZ+-"):
            return day.isoformat()
    return refuse(line, f"{text!r} is no date such as 2026-01-31")


def clean(text: str, length_max: int = IDENTIFIER_LENGTH_MAX) -> str:
    """Return the text on one line, without characters that deceive the eye."""
    return UNSEEN.sub(" ", text).strip()[:length_max].strip()


def references_of(*found: str) -> tuple[str, ...]:
    """Return each reference once, in order, without placeholders for none."""
    wanted = (clean(one) for one in found)
    unique = dict.fromkeys(one for one in wanted if one and one.upper() not in ("NONREF", "NOTPROVIDED", "0"))
    return tuple(unique)[:REFERENCES_MAX]


def line_of(number: int, **fields: Any) -> StatementLine:
    """Return a line. Raise BadInput, with the words of its type, if it is not valid."""
    text = masked(clean(fields.pop("text", ""), TEXT_LENGTH_MAX))
    try:
        return StatementLine(text=text, **fields)
    except ValidationError as error:
        return refuse(number, problems(error))


def require_few(lines: Sequence[StatementLine]) -> None:
    if len(lines) > LINES_MAX:
        refuse(None, f"a statement has at most {LINES_MAX} lines, this one has {len(lines)}", "split the period")


class Table(NamedTuple):
    """Rows under a header, each with the number of its line."""

    columns: Mapping[str, int]
    rows: list[tuple[int, list[str]]]

    def require(self, *names: str) -> None:
        if missing := [name for name in names if name not in self.columns]:
            refuse(None, f"the columns {', '.join(missing)} are missing", "export the report with them")

    def records(self) -> Iterator[tuple[int, Mapping[str, str]]]:
        for number, row in self.rows:
            if len(row) != len(self.columns):
                refuse(number, f"{len(row)} fields stand under {len(self.columns)} columns")
            yield number, {name: row[place] for name, place in self.columns.items()}


def header_of(names: Sequence[str], line: int) -> dict[str, int]:
    if len(set(names)) < len(names):
        refuse(line, "two columns have one name")
    return {name: place for place, name in enumerate(names)}


def csv_rows(text: str, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV as in RFC 4180; an unclosed quotation mark is refused, instead of reading the rest of
    the file into it.
    """
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            refuse(number, f"this is no CSV: {error}")
        if row:
            yield number, row


def table_of(text: str, delimiter: str = ",") -> Table:
    rows = list(csv_rows(text, delimiter))
    if not rows:
        refuse(None, "the file has no lines")
    number, names = rows[0]
    return Table(header_of([name.strip() for name in names], number), rows[1:])


def chained(lines: Sequence[tuple[int, StatementLine, int]], currency: str) -> tuple[int, int, list[StatementLine]]:
    """Return opening and closing balance and the lines, the earliest first, of lines that each state the balance
    after them.
    """
    for ordered in (lines, lines[::-1]):
        balances = [balance for _, _, balance in ordered]
        before = [balance - line.amount_minor for _, line, balance in ordered]
        if before[1:] == balances[:-1]:
            return before[0], balances[-1], [line for _, line, _ in ordered]
    for (_, _, before_it), (number, line, balance) in pairwise(lines):
        if before_it + line.amount_minor != balance:
            missing = to_text(balance - before_it - line.amount_minor, currency)
            refuse(number, f"its balance does not follow from the one before: {missing} is missing")
    raise AssertionError("one of them does not follow")


def period_of(lines: Iterable[StatementLine], line: int | None = None) -> tuple[str, str]:
    days = [one.booked_on for one in lines]
    if not days:
        refuse(line, "there are no lines, and nothing says of which days", "there is nothing to import")
    return min(days), max(days)
