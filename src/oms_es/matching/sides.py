"""The two sides of a match, and the rules of a run."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from oms_es.schemas.finance.reconciliation import FeeTerm


class Line(NamedTuple):
    """A line of a statement. `amount_minor` is before the fee: what the customer paid or received."""

    name: str
    line_id: str
    kind: str
    day: str
    currency: str
    amount_minor: int
    fee_minor: int
    references: tuple[str, ...]


class Movement(NamedTuple):
    """A movement that is recorded here: a capture, a refund, a dispute, or a payout that a provider reported.

    `method` is the payment's.
    """

    name: str
    day: str
    currency: str
    amount_minor: int
    references: tuple[str, ...]
    method: str = ""


class Agreed(NamedTuple):
    """Fees that are in force for what is booked from a day on, until others are."""

    since: str
    terms: tuple[FeeTerm, ...]


class Rules(NamedTuple):
    """The rules of a run.

    `window_days` is how many days the two sides may be apart. The expected fee is the one given here or, without it,
    the agreed one; without either, no fee is expected.
    """

    window_days: int = 5
    fee_basis_points: int | None = None
    fee_fixed_minor: int = 0
    agreed: tuple[Agreed, ...] = ()

    def fee_of(self, amount_minor: int, method: str, day: str) -> int | None:
        """Return the expected fee, rounded half up as providers do; None if none is expected."""
        if self.fee_basis_points is not None:
            return _fee(amount_minor, self.fee_basis_points, self.fee_fixed_minor)
        held = max((one for one in self.agreed if one.since <= day), key=lambda one: one.since, default=None)
        by_method = {term.method: term for term in held.terms} if held else {}
        term = by_method.get(method) or by_method.get("")
        return _fee(amount_minor, term.basis_points, term.fixed_minor) if term else None


def _fee(amount_minor: int, basis_points: int, fixed_minor: int) -> int:
    return (amount_minor * basis_points + 5_000) // 10_000 + fixed_minor


def days_apart(one: str, other: str) -> int:
    return abs((date.fromisoformat(one) - date.fromisoformat(other)).days)
