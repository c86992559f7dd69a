"""The two sides of a match, and what a run knows of the account."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from oms_es.schemas.finance.reconciliation import FeeTerm


class Line(NamedTuple):
    """Of a statement. `amount_minor` is before the fee: what the customer paid or got."""

    name: str
    line_id: str
    kind: str
    day: str
    currency: str
    amount_minor: int
    fee_minor: int
    references: tuple[str, ...]


class Movement(NamedTuple):
    """What is known here: a capture, a refund, a dispute, or a payout that a provider reported. `method`: of the
    payment."""

    name: str
    day: str
    currency: str
    amount_minor: int
    references: tuple[str, ...]
    method: str = ""


class Agreed(NamedTuple):
    """Fees that hold for what is booked from a day on, until others do."""

    since: str
    terms: tuple[FeeTerm, ...]


class Rules(NamedTuple):
    """`window_days`: how far the two may lie apart. The fee that is expected is the one that is given here, or
    else what was `agreed`; without either, none is."""

    window_days: int = 5
    fee_basis_points: int | None = None
    fee_fixed_minor: int = 0
    agreed: tuple[Agreed, ...] = ()

    def fee_of(self, amount_minor: int, method: str, day: str) -> int | None:
        """Rounded half up, as providers do."""
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
