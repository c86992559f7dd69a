"""Statements: a bank's or a payment provider's report of the movements on one account in one period.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from oms_es.kernel import Event, Message, SystemCommand
from oms_es.schemas.values.personal import PERSONAL_HERE
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
"""How many lines one statement may have: as many as a busy month at a provider."""
LINES_OF_AN_EVENT_MAX = 200
"""A small number, so that an event fits a message of Kafka however long its texts are."""
REFERENCES_MAX = 20
PARTS_MAX = 2_000
"""How many payments one entry may have that a bank booked as a batch."""

LineKind = Literal[
    "payment", "refund", "fee", "dispute", "dispute_reversal", "payout", "transfer", "adjustment", "other"
]
"""What kind of line the statement says it is; a bank's entries are transfers."""
SignedMinor = Annotated[int, Field(ge=-AMOUNT_MINOR_MAX, le=AMOUNT_MINOR_MAX)]
AccountName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
"""The account's name here. It is part of stream names, so it has no slash."""
SHA256 = re.compile(r"^[0-9a-f]{64}$")


def at_most(maximum: int) -> AfterValidator:
    """Bound a list that only the engine makes; the published schema does not state the bound."""

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
"""A calendar day without a time zone, as in a book of account, such as 2026-01-31."""


class StatementPart(Message):
    """One of several payments that were booked as one entry."""

    amount_minor: SignedMinor
    references: Annotated[tuple[PartName, ...], at_most(REFERENCES_MAX)] = ()
    text: Annotated[QuotedText, PERSONAL_HERE] = ""


class StatementLine(Message):
    """One movement. `amount_minor` is the change of the balance, after `fee_minor`, which is positive for a cost.

    `pending`: the line is not booked, and counts in no balance. `reversal`: it takes an earlier entry back. `batch`:
    the payout that it is part of. `fee_exact`: the fee as it was sent, if it is no whole number of minor units.
    """

    line_id: PartName = ""
    kind: LineKind
    booked_on: Day
    value_on: Day | None = None
    happened_at: Moment | None = None
    sent_time: PartName = ""
    """The time as the statement states it."""
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
    text: Annotated[QuotedText, PERSONAL_HERE] = ""
    """What the statement says of the movement: it may name the other party, with its bank account."""

    @property
    def gross_minor(self) -> int:
        """The amount before the fee was withheld."""
        return self.amount_minor + self.fee_minor


class RecordStatement(SystemCommand):
    """Record a statement that was read from a file, whose bytes are kept under `document_sha256`.

    `account_number`: the account's name in the file. Balances are missing if the file has none.
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
    """A statement was recorded; its lines are in later events.

    `fingerprint`: a hash of its content, in whatever file it came.
    """

    format: str
    account_number: str = ""
    opened_on: str
    closed_on: str
    opening_minor: int | None = None
    closing_minor: int | None = None
    booked_minor: int
    """The sum of the booked lines, in minor units."""
    line_count: int
    document_sha256: str
    fingerprint: str


class StatementLinesRecorded(StatementEvent):
    """Lines of a statement. `first` is the number of the first of them, counted from 1."""

    first: int
    lines: tuple[StatementLine, ...]
