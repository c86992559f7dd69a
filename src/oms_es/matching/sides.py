"""The two sides of a match, and what a run knows of the account."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple


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
    """What is known here: a capture, a refund, a dispute, or a payout that a provider reported."""

    name: str
    day: str
    currency: str
    amount_minor: int
    references: tuple[str, ...]


class Rules(NamedTuple):
    """`window_days`: how far the two may lie apart. A fee is expected where both of its parts are given."""

    window_days: int = 5
    fee_basis_points: int | None = None
    fee_fixed_minor: int = 0

    def fee_of(self, amount_minor: int) -> int | None:
        """Rounded half up, as providers do."""
        if self.fee_basis_points is None:
            return None
        return (amount_minor * self.fee_basis_points + 5_000) // 10_000 + self.fee_fixed_minor


def days_apart(one: str, other: str) -> int:
    return abs((date.fromisoformat(one) - date.fromisoformat(other)).days)
