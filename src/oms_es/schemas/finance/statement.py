"""Statements: what a bank or a payment provider says moved on one account in one period.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from oms_es.kernel import Event, Message, SystemCommand
from oms_es.schemas.values.types import (
    AMOUNT_MINOR_MAX,
    YEARS,
    Currency,
    Identifier,
    Moment,
    PartName,
    QuotedText,
    ShortName,
)

LINES_MAX = 200_000
"""Of one statement: a busy month of a provider."""
LINES_OF_AN_EVENT_MAX = 200
"""So that an event fits a message of Kafka however long its texts are."""
REFERENCES_MAX = 20
PARTS_MAX = 2_000
"""Of one entry that a bank booked as a batch."""

LineKind = Literal[
    "payment", "refund", "fee", "dispute", "dispute_reversal", "payout", "transfer", "adjustment", "other"
]
"""What the statement calls it; a bank's entries are transfers."""
SignedMinor = Annotated[int, Field(ge=-AMOUNT_MINOR_MAX, le=AMOUNT_MINOR_MAX)]
AccountName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
"""What an account is called here: part of the names of streams, so without a slash."""
SHA256 = re.compile(r"^[0-9a-f]{64}$")


def at_most(maximum: int) -> AfterValidator:
    """A list of what the engine says itself: as long as this, which no published schema says."""

    def kept(items: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(items) > maximum:
            raise ValueError(f"at most {maximum} are taken at once: split it")
        return items

    return AfterValidator(kept)


def _day(text: str) -> str:
    if date.fromisoformat(text).year not in YEARS:
        raise ValueError(f"a year from {YEARS[0]} to {YEARS[-1]} is expected: correct the date")
    return text


Day = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"), AfterValidator(_day)
]
"""A date as a book has it, without a zone, such as 2026-01-31."""


class StatementPart(Message):
    """One payment of several that were booked as one entry."""

    amount_minor: SignedMinor
    references: Annotated[tuple[PartName, ...], at_most(REFERENCES_MAX)] = ()
    text: QuotedText = ""


class StatementLine(Message):
    """One movement. `amount_minor` is what it does to the balance, after `fee_minor`, which is positive for a cost.

    `pending`: it is not booked, and counts in no balance. `reversal`: it takes an earlier entry back. `batch`: the
    payout that it is part of. `fee_exact`: the fee as it was sent, where it is no whole number of minor units.
    """

    line_id: PartName = ""
    kind: LineKind
    booked_on: Day
    value_on: Day | None = None
    happened_at: Moment | None = None
    sent_time: PartName = ""
    """The time as the statement has it."""
    amount_minor: SignedMinor
    fee_minor: SignedMinor = 0
    fee_exact: PartName = ""
    pending: bool = False
    reversal: bool = False
    references: Annotated[tuple[PartName, ...], at_most(REFERENCES_MAX)] = ()
    batch: PartName = ""
    parts: Annotated[tuple[StatementPart, ...], at_most(PARTS_MAX)] = ()
    foreign_minor: SignedMinor | None = None
    foreign_currency: Currency | None = None
    text: QuotedText = ""

    @property
    def gross_minor(self) -> int:
        """Before the fee that was withheld."""
        return self.amount_minor + self.fee_minor


class RecordStatement(SystemCommand):
    """A file was read, whose bytes are kept under `document_sha256`.

    `account_number`: what the account is called in the file. Without balances, the file has none.
    """

    account: AccountName
    statement_id: ShortName
    format: Identifier
    account_number: PartName = ""
    currency: Currency
    opened_on: Day
    closed_on: Day
    opening_minor: SignedMinor | None = None
    closing_minor: SignedMinor | None = None
    document_sha256: Annotated[str, StringConstraints(pattern=SHA256.pattern)]
    lines: Annotated[tuple[StatementLine, ...], at_most(LINES_MAX)] = ()

    @property
    def stream(self) -> str:
        return f"statement-{self.account}/{self.statement_id}"


class StatementEvent(Event):
    account: str
    statement_id: str
    currency: str


class StatementRecorded(StatementEvent):
    """What it says beside its lines. `fingerprint`: of all that it says, whatever file it came in."""

    format: str
    account_number: str = ""
    opened_on: str
    closed_on: str
    opening_minor: int | None = None
    closing_minor: int | None = None
    booked_minor: int
    """The sum of the lines that are booked."""
    line_count: int
    document_sha256: str
    fingerprint: str


class StatementLinesRecorded(StatementEvent):
    """Lines from `first` on, which is counted from 1."""

    first: int
    lines: tuple[StatementLine, ...]
