"""PayPal's settlement report (STL) as CSV: the first field of a row names its type.

Invariant: amounts are whole minor units, with the sign of their mark; the counts and sums of each section, by currency,
agree with its rows. Each currency is a statement of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from oms_es.schemas.finance.statement import StatementLine
from oms_es.statements.reading import (
    Options,
    Statement,
    clean,
    csv_rows,
    currency_of,
    day_of,
    header_of,
    line_of,
    moment_of,
    references_of,
    refuse,
    require_few,
    text_of,
)

TIME = "%Y/%m/%d %H:%M:%S %z"
SECTION_FIELDS_MIN, SUMS_FIELDS_MIN, DIGITS_MAX = 4, 6, 15
SIGNS = {"CR": 1, "DR": -1}
KINDS = (
    ("T00", "payment"),
    ("T01", "fee"),
    ("T03", "transfer"),
    ("T04", "payout"),
    ("T11", "refund"),
    ("T12", "adjustment"),
)
"""The kind by the first characters of the event code."""
DISPUTES = {"T1106": "dispute", "T1107": "refund", "T1110": "dispute", "T1111": "dispute_reversal", "T1201": "dispute"}
"""Event codes whose kind differs from that of their group."""
GROSS, FEE = "Gross Transaction Amount", "Fee Amount"
NEEDED = (
    *("Transaction ID", "Transaction Event Code", "Transaction Completion Date", "Transaction Debit or Credit"),
    *(GROSS, "Gross Transaction Currency", "Fee Debit or Credit", FEE, "Fee Currency"),
)
REFERENCES = (
    "Transaction ID",
    "Invoice ID",
    "PayPal Reference ID",
    "Custom Field",
    "Payment Tracking ID",
    "Bank Reference ID",
)


@dataclass
class Section:
    """A section of one account: its rows by currency, with the sums of credits and debits."""

    line: int
    number: str
    opened_on: str
    closed_on: str
    columns: Mapping[str, int] = field(default_factory=dict)
    lines: dict[str, list[StatementLine]] = field(default_factory=dict)
    sums: dict[str, list[int]] = field(default_factory=dict)
    summed: set[str] = field(default_factory=set)
    is_closed: bool = False


def read(content: bytes, options: Options) -> Sequence[Statement]:
    sections: list[Section] = []
    began = ended = False
    for number, row in csv_rows(text_of(content, options)):
        match row[0]:
            case "RH":
                began = True
            case "SH":
                sections.append(_section(number, row))
            case "CH" | "SB" | "SF" | "SC" if not sections or sections[-1].is_closed:
                refuse(number, f"a row {row[0]} stands outside a section")
            case "CH":
                sections[-1].columns = header_of([name.strip() for name in row[1:]], number)
            case "SB":
                _body(number, row[1:], sections[-1])
            case "SF":
                _footer(number, row, sections[-1])
            case "SC":
                _require_count(number, row, sum(map(len, sections[-1].lines.values())))
                sections[-1].is_closed = True
            case "RC":
                _require_count(number, row, sum(len(lines) for one in sections for lines in one.lines.values()))
                ended = True
            case "FH" | "RF" | "FF":
                pass
            case kind:
                refuse(number, f"a row {kind!r} is not one of a settlement report")
    if not (began and ended and all(one.is_closed for one in sections)):
        refuse(None, "the report is not whole: it begins with RH, and ends each section with SC and all with RC")
    return [statement for one in sections for statement in _statements(one)]


def _section(number: int, row: Sequence[str]) -> Section:
    if len(row) < SECTION_FIELDS_MIN:
        refuse(number, "a section begins with its dates and account")
    opened_on, closed_on = (day_of(one, TIME, number) for one in row[1:3])
    return Section(number, clean(row[3]), opened_on, closed_on)


def _statements(section: Section) -> Sequence[Statement]:
    found = []
    for currency, lines in sorted(section.lines.items()):
        if currency not in section.summed:
            refuse(section.line, f"no row SF sums up what is in {currency}")
        require_few(lines)
        statement_id = f"{currency}/{section.opened_on}..{section.closed_on}"
        dates = (section.opened_on, section.closed_on)
        found.append(Statement("paypal", section.number, statement_id, currency, *dates, None, None, tuple(lines)))
    return found


def _body(number: int, row: Sequence[str], section: Section) -> None:
    if missing := [name for name in NEEDED if name not in section.columns]:
        refuse(number, f"the columns {', '.join(missing)} are missing")
    if len(row) != len(section.columns):
        refuse(number, f"{len(row)} fields stand under {len(section.columns)} columns")
    said = {name: row[place].strip() for name, place in section.columns.items()}
    currency = currency_of(said["Gross Transaction Currency"], number)
    gross = _signed(said["Transaction Debit or Credit"], said[GROSS], number)
    charged = -_signed(said["Fee Debit or Credit"], said[FEE], number) if said[FEE] else 0
    if charged and said["Fee Currency"] != currency:
        refuse(number, f"the fee is in {said['Fee Currency']}, the amount in {currency}")
    sums = section.sums.setdefault(currency, [0, 0, 0, 0])
    for place, amount in ((0, gross), (2, -charged)):
        sums[place + (amount < 0)] += abs(amount)
    section.lines.setdefault(currency, []).append(_line(number, said, gross, charged))


def _line(number: int, said: Mapping[str, str], gross: int, charged: int) -> StatementLine:
    sent, code = said["Transaction Completion Date"], said["Transaction Event Code"]
    at = moment_of(sent, TIME, number)
    return line_of(
        number,
        line_id=clean(said["Transaction ID"]),
        kind=DISPUTES.get(code) or next((kind for begin, kind in KINDS if code.startswith(begin)), "other"),
        booked_on=at.date().isoformat(),
        happened_at=at,
        sent_time=clean(sent),
        amount_minor=gross - charged,
        fee_minor=charged,
        references=references_of(*(said.get(name, "") for name in REFERENCES)),
        text=code,
    )


def _signed(mark: str, amount: str, number: int) -> int:
    if mark not in SIGNS:
        refuse(number, f"the mark is {mark!r}, not CR or DR")
    return SIGNS[mark] * _whole(amount, number)


def _whole(text: str, number: int) -> int:
    """Return an amount in minor units; a decimal point would mean another report."""
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX):
        refuse(number, f"{text!r} is no whole number of minor units")
    return int(text)


def _footer(number: int, row: Sequence[str], section: Section) -> None:
    if len(row) < SUMS_FIELDS_MIN:
        refuse(number, "the sums of a section are missing")
    currency = currency_of(row[1], number)
    sums = [_whole(one, number) for one in row[2:6]]
    found = section.sums.get(currency, [0, 0, 0, 0])
    if sums != found:
        refuse(number, f"credits, debits and fees in {currency} are {sums}, and the rows sum to {found}")
    section.summed.add(currency)


def _require_count(number: int, row: Sequence[str], count: int) -> None:
    if not row[1:] or _whole(row[1], number) != count:
        refuse(number, f"{row[0]} counts {row[1:2]}, and there are {count} rows")
