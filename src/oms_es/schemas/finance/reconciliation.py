"""Reconciliation: which lines of an account's statements are which money that moved here, and what is left over.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from oms_es.kernel import Command, Event, Message, SystemCommand
from oms_es.schemas.finance.statement import AccountName, Day, SignedMinor, at_most
from oms_es.schemas.values.types import Currency, Identifier, PartName, QuotedText, Text

SIDE_MAX = 2_000
"""Lines, and movements, of one match: a payout of a busy day."""
MATCHES_MAX = 200
"""Of one event; a run takes as many as it needs."""
BREAKS_MAX = 100_000
REASON_MAX = 500
BY_HAND_MAX = 100
"""Breaks that a person matches at once."""
FEE_TERMS_MAX = 50

BreakKind = Literal[
    "missing_here", "missing_at_provider", "amount", "currency", "fee", "duplicate", "timing", "balance"
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=600, pattern=r"^[^\x00]+$")]
"""Of a line, `<statement>/<line>`, or of what moved here, `capture/<payment>/<capture>`."""
Names = Annotated[tuple[Name, ...], at_most(SIDE_MAX)]


class Match(Message):
    """`confidence`: 100 where a reference says so, less where amount and date do. Without movements, it is
    the provider's own."""

    match_id: Identifier
    lines: Names
    movements: Names = ()
    reason: QuotedText
    confidence: Annotated[int, Field(ge=0, le=100)]
    day: Day
    amount_minor: SignedMinor


class Break(Message):
    """What does not agree. `amount_minor`: what is in question, or the difference."""

    break_id: Identifier
    kind: BreakKind
    day: Day
    amount_minor: SignedMinor
    currency: Currency
    lines: Names = ()
    movements: Names = ()
    detail: QuotedText
    lines_minor: SignedMinor | None = None
    """What the lines sum to, where `amount_minor` is the difference."""


class FeeTerm(Message):
    """What a provider may withhold of a payment by `method`, or by any other where that is empty."""

    method: PartName = ""
    basis_points: Annotated[int, Field(ge=0, le=10_000)]
    """Of the amount: 140 is 1.4 %."""
    fixed_minor: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """And so much for each payment."""


def _one_of_a_method(terms: tuple[FeeTerm, ...]) -> tuple[FeeTerm, ...]:
    if len({one.method for one in terms}) < len(terms):
        raise ValueError("two names are the same: each method has one term")
    return terms


def id_of(*names: str) -> str:
    """Of a match or a break: the same sides, in any order, are the same."""
    return sha256("\n".join(sorted(names)).encode()).hexdigest()[:24]


class ReconciliationCommand(Command):
    account: AccountName

    @property
    def stream(self) -> str:
        return f"reconciliation-{self.account}"


class RecordReconciliation(ReconciliationCommand, SystemCommand):
    """What a run proposes. `is_complete`: `breaks` are all that there are, and others are gone."""

    matches: Annotated[tuple[Match, ...], at_most(MATCHES_MAX)] = ()
    breaks: Annotated[tuple[Break, ...], at_most(BREAKS_MAX)] = ()
    is_complete: bool = False


class ResolveReconciliation(ReconciliationCommand):
    """Settle a break: written off, accepted as it is, or to be corrected by the provider or here."""

    difference: Identifier
    """The id of the break."""
    resolution: Literal["written_off", "accepted", "provider_corrects", "corrected_here"]
    note: Text = ""


class ReopenReconciliation(ReconciliationCommand):
    """Take the resolution of a break back."""

    difference: Identifier
    """The id of the break."""
    note: Text = ""


class MatchReconciliation(ReconciliationCommand):
    """Say by hand that what several open breaks name is one match: their lines and movements sum to the same."""

    differences: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=BY_HAND_MAX)]
    """The ids of the breaks."""
    note: Text = ""


class UndoReconciliation(ReconciliationCommand):
    """Take a match back: it is not proposed again."""

    match: Identifier
    """The id of it."""
    note: Text = ""


class CloseReconciliation(ReconciliationCommand):
    """Close the period that ends with a day: what changes in it from then on is an adjustment."""

    through: Day


class SetFeeTerms(ReconciliationCommand):
    """Say which fees were agreed for what is booked from a day on: a run finds every fee that is another."""

    since: Day
    terms: Annotated[
        tuple[FeeTerm, ...], Field(min_length=1, max_length=FEE_TERMS_MAX), AfterValidator(_one_of_a_method)
    ]


class ReconciliationEvent(Event):
    account: str


class ReconciliationMatched(ReconciliationEvent):
    """`adjusts`: the end of the closed period that some of it lies in. `settles`: the breaks that it was made of by
    hand."""

    matches: tuple[Match, ...]
    adjusts: str = ""
    settles: tuple[str, ...] = ()


class ReconciliationBreaksFound(ReconciliationEvent):
    breaks: tuple[Break, ...]
    adjusts: str = ""


class ReconciliationBreaksCleared(ReconciliationEvent):
    """They are not there any more: what was missing has come."""

    break_ids: tuple[str, ...]


class ReconciliationBreakResolved(ReconciliationEvent):
    break_id: str
    resolution: str
    note: str = ""
    amount_minor: int
    currency: str
    adjusts: str = ""


class ReconciliationBreakReopened(ReconciliationEvent):
    break_id: str
    note: str = ""
    adjusts: str = ""


class ReconciliationMatchUndone(ReconciliationEvent):
    match_id: str
    note: str = ""
    adjusts: str = ""


class ReconciliationPeriodClosed(ReconciliationEvent):
    through: str


class FeeTermsSet(ReconciliationEvent):
    """They hold for what is booked from `since` on, until others do."""

    since: str
    terms: tuple[FeeTerm, ...]
