"""Reconciliation: which lines of an account's statements match which movements here, and what is left over.

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
"""How many lines, and movements, one match may have: as many as a payout of a busy day."""
MATCHES_MAX = 200
"""How many matches one event may have; a run emits as many events as it needs."""
BREAKS_MAX = 100_000
REASON_MAX = 500
BY_HAND_MAX = 100
"""How many breaks a person may match at once."""
FEE_TERMS_MAX = 50

BreakKind = Literal[
    "missing_here", "missing_at_provider", "amount", "currency", "fee", "duplicate", "timing", "balance"
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=600, pattern=r"^[^\x00]+$")]
"""The name of a line, `<statement>/<line>`, or of a movement, `capture/<payment>/<capture>`."""
Names = Annotated[tuple[Name, ...], at_most(SIDE_MAX)]


class Match(Message):
    """Statement lines and the movements that they are.

    `confidence` is 100 if a reference proves the match, and less if amount and date suggest it. A match without
    movements is the provider's own, such as a fee.
    """

    match_id: Identifier
    lines: Names
    movements: Names = ()
    reason: QuotedText
    confidence: Annotated[int, Field(ge=0, le=100)]
    day: Day
    amount_minor: SignedMinor


class Break(Message):
    """A difference between statements and movements. `amount_minor`: the amount in question, or the difference."""

    break_id: Identifier
    kind: BreakKind
    day: Day
    amount_minor: SignedMinor
    currency: Currency
    lines: Names = ()
    movements: Names = ()
    detail: QuotedText
    lines_minor: SignedMinor | None = None
    """The sum of the lines, if `amount_minor` is the difference."""


class FeeTerm(Message):
    """The fee that a provider may withhold from a payment by `method`; if that is empty, by any other method."""

    method: PartName = ""
    basis_points: Annotated[int, Field(ge=0, le=10_000)]
    """A share of the amount: 140 is 1.4 %."""
    fixed_minor: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """An amount for each payment, besides the share."""


def _one_of_a_method(terms: tuple[FeeTerm, ...]) -> tuple[FeeTerm, ...]:
    if len({one.method for one in terms}) < len(terms):
        raise ValueError("two names are the same: each method has one term")
    return terms


def id_of(*names: str) -> str:
    """Return the id of a match or a break: the same lines and movements, in any order, have the same id."""
    return sha256("\n".join(sorted(names)).encode()).hexdigest()[:24]


class ReconciliationCommand(Command):
    account: AccountName

    @property
    def stream(self) -> str:
        return f"reconciliation-{self.account}"


class RecordReconciliation(ReconciliationCommand, SystemCommand):
    """Record what a reconciliation run proposes.

    `is_complete`: `breaks` are all that there are, so others are cleared.
    """

    matches: Annotated[tuple[Match, ...], at_most(MATCHES_MAX)] = ()
    breaks: Annotated[tuple[Break, ...], at_most(BREAKS_MAX)] = ()
    is_complete: bool = False


class ResolveReconciliation(ReconciliationCommand):
    """Settle a break: it is written off, accepted as it is, or will be corrected by the provider or here."""

    difference: Identifier
    """The id of the break."""
    resolution: Literal["written_off", "accepted", "provider_corrects", "corrected_here"]
    note: Text = ""


class ReopenReconciliation(ReconciliationCommand):
    """Take back the resolution of a break."""

    difference: Identifier
    """The id of the break."""
    note: Text = ""


class MatchReconciliation(ReconciliationCommand):
    """Declare by hand that several open breaks are one match: their lines and movements have the same sum."""

    differences: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=BY_HAND_MAX)]
    """The ids of the breaks."""
    note: Text = ""


class UndoReconciliation(ReconciliationCommand):
    """Take back a match; it is not proposed again."""

    match: Identifier
    """The id of the match."""
    note: Text = ""


class CloseReconciliation(ReconciliationCommand):
    """Close the period that ends with this day: later changes in it are adjustments."""

    through: Day


class SetFeeTerms(ReconciliationCommand):
    """Set the fees that were agreed for what is booked from a day on: a run reports every other fee as a break."""

    since: Day
    terms: Annotated[
        tuple[FeeTerm, ...], Field(min_length=1, max_length=FEE_TERMS_MAX), AfterValidator(_one_of_a_method)
    ]


class ReconciliationEvent(Event):
    account: str


class ReconciliationMatched(ReconciliationEvent):
    """Lines were matched.

    `adjusts`: the end of the closed period that some of them lie in. `settles`: the breaks that a person matched.
    """

    matches: tuple[Match, ...]
    adjusts: str = ""
    settles: tuple[str, ...] = ()


class ReconciliationBreaksFound(ReconciliationEvent):
    breaks: tuple[Break, ...]
    adjusts: str = ""


class ReconciliationBreaksCleared(ReconciliationEvent):
    """These breaks are gone: what was missing has come."""

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
    """The agreed fees of what is booked from `since` on, until others are set."""

    since: str
    terms: tuple[FeeTerm, ...]
