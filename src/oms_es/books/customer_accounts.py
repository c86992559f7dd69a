"""The postings of the entries on customers' accounts.

Invariant: the balance of a liability is the sum of all accounts of its kind. What a payment takes from an account, or
credits to it, passes through the clearing account of the method "account", which the payment's own event settles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from oms_es.books import chart
from oms_es.books.entry import Posting
from oms_es.kernel import Event
from oms_es.schemas.finance import account as a
from oms_es.schemas.finance import gift_card as g

CLEARING = chart.sub(chart.CLEARING, a.METHOD)
Kinds = dict[str, str]
"""The kind of each account."""


def post(kinds: Kinds, event: Event) -> tuple[Posting, ...]:
    """Return the postings of an event; an account that is opened is added to `kinds`."""
    handle = HANDLERS.get(type(event))
    return handle(kinds, event) if handle else ()


def _opened(kinds: Kinds, event: a.AccountOpened) -> tuple[Posting, ...]:
    kinds[event.account_id] = event.kind
    return ()


def _credited(kinds: Kinds, event: a.AccountCredited) -> tuple[Posting, ...]:
    came = CLEARING if event.payment_id else chart.sub(chart.ACCOUNT_FUNDS, event.method)
    return _moved(kinds, event, came, event.amount_minor)


def _debited(kinds: Kinds, event: a.AccountDebited) -> tuple[Posting, ...]:
    return _moved(kinds, event, chart.sub(chart.ACCOUNT_FUNDS, event.method), -event.amount_minor)


def _applied(kinds: Kinds, event: a.AccountHoldApplied) -> tuple[Posting, ...]:
    return _moved(kinds, event, CLEARING if event.payment_id else chart.FORFEITED, -event.amount_minor)


def _forfeited(kinds: Kinds, event: g.GiftCardForfeited) -> tuple[Posting, ...]:
    return _moved(kinds, event, chart.BREAKAGE, -event.amount_minor)


def _moved(kinds: Kinds, event: a.AccountEntry, other: str, amount_minor: int) -> tuple[Posting, ...]:
    owed = liability_of(kinds, event)
    return Posting(other, event.currency, amount_minor), Posting(owed, event.currency, -amount_minor)


def liability_of(kinds: Kinds, event: a.AccountEntry) -> str:
    return chart.sub(chart.CUSTOMER_ACCOUNTS, kinds.get(event.account_id, "unknown").replace("_", "-"))


HANDLERS: Mapping[type[Event], Callable[[Kinds, Any], tuple[Posting, ...]]] = {
    a.AccountOpened: _opened,
    a.AccountCredited: _credited,
    a.AccountDebited: _debited,
    a.AccountHoldApplied: _applied,
    g.GiftCardForfeited: _forfeited,
}
