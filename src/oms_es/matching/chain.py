"""The chain of an account's statements: each opens with the closing balance of the one before.

Invariant: the same statements have the same breaks, in whatever order they were imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from oms_es.schemas.finance.reconciliation import Break, id_of
from oms_es.schemas.values.currency import to_text


class Ends(NamedTuple):
    """The period and the balances of a statement, in minor units."""

    currency: str
    opened_on: str
    closed_on: str
    statement_id: str
    opening_minor: int
    closing_minor: int

    def begins_with(self, other: Ends) -> bool:
        return (self.currency, self.opened_on) == (other.currency, other.opened_on)


def balance_breaks(statements: Sequence[Ends]) -> Iterator[Break]:
    """Yield a break for each statement that does not continue an earlier one.

    Several statements of a day may follow each other in any order, and the days of a month may be there besides the
    month.
    """
    ordered = sorted(statements)
    for one in ordered:
        before = _before(one, ordered)
        together = [other for other in ordered if other.begins_with(one) and other != one]
        if not before or any(other.closing_minor == one.opening_minor for other in (*before, *together)):
            continue
        last = before[-1]
        opens, closed = (to_text(n, one.currency) for n in (one.opening_minor, last.closing_minor))
        yield Break(
            break_id=f"balance/{id_of(last.statement_id, one.statement_id)}",
            kind="balance",
            day=one.opened_on,
            amount_minor=one.opening_minor - last.closing_minor,
            currency=one.currency,
            detail=f"{one.statement_id} opens with {opens}, {last.statement_id} before it closed with {closed}"[:500],
        )


def _before(one: Ends, ordered: Sequence[Ends]) -> list[Ends]:
    """Return the statements that one may continue: of those that end before it begins the last, and those that end
    on that day.
    """
    earlier = [other for other in ordered if other.currency == one.currency and other.opened_on < one.opened_on]
    strictly = _last([other for other in earlier if other.closed_on < one.opened_on])
    return [*strictly, *(other for other in earlier if other.closed_on == one.opened_on)]


def _last(statements: Sequence[Ends]) -> list[Ends]:
    last = max((one.closed_on for one in statements), default="")
    return [one for one in statements if one.closed_on == last]
