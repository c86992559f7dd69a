"""Money of an order that is gone by another way: refunded at the provider, disputed, or never captured.

Invariant: goods do not leave when their money is gone, as long as they can be stopped and no person decides otherwise.
A missing amount is first attributed to parcels that have left, and to what the payment was asked for beyond its
parcels. Only if the rest no longer covers what a payment is still to be charged is the order held, for exactly that
refund or dispute. The hold ends when all the money that it is for is there again, or when a person releases it. A
missing amount is passed on to the exchanges that it paid for, as far as what is left of the order does not pay for
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from oms_es.aggregates.order import refunding
from oms_es.aggregates.order import transitions as steps
from oms_es.aggregates.order.evolve import evolve
from oms_es.aggregates.order.money import CREDIT, borne_by, charges_of, in_words
from oms_es.aggregates.order.state import BEFORE_RELEASE, Order
from oms_es.schemas import order as o

WORDS: Mapping[o.MoneyGone, str] = {
    "refunded": "given back at the provider",
    "disputed": "disputed by the customer's bank",
    "not_captured": "never taken",
}


def record_gone(order: Order, command: o.RecordMoneyGone) -> Iterator[o.OrderEvent]:
    assert order.content
    news = (command.payment_id, command.effect) not in order.gone
    # the credit was granted to another order of this id
    if not news or (command.of_credit and order.content.exchange_of is None):
        return
    gone = o.OrderMoneyGone(**dict(command), currency=order.content.currency, **order.of_customer)
    after = evolve(order, gone)
    held = list(_held(after, gone))
    more: dict[str, Any] = {"exchanges": _exchanges(order, after)}
    if gone.of_credit and order.phase != "cancelled":
        lacks = missing(after, CREDIT) - missing(order, CREDIT) if held else 0
        more["left_minor"] = gone.amount_minor - lacks
    yield gone.model_copy(update=more)
    yield from held


def _exchanges(order: Order, after: Order) -> dict[str, int]:
    """Return the exchanges that are no longer paid for, with the missing amounts; the newest first, as it is the least
    likely to have left.
    """
    lacking = refunding.overdrawn(after) - refunding.overdrawn(order)
    found: dict[str, int] = {}
    for order_id, credit in reversed(order.exchanges):
        known = sum(event.exchanges.get(order_id, 0) for event in order.gone.values())
        n = min(credit - order.exchanges_back.get(order_id, 0) - known, lacking)
        if n > 0:
            found[order_id] = n
            lacking -= n
    return found


def _held(order: Order, gone: o.OrderMoneyGone) -> Iterator[o.OrderHeld]:
    bearer = borne_by(gone)
    if not missing(order, bearer):
        return
    charged = [key for key in (*order.stoppable, *order.in_status("held")) if _charge(order, key, bearer)]
    if order.phase in BEFORE_RELEASE or charged:
        yield o.OrderHeld(
            order_id=order.order_id,
            kind="payment",
            note=f"{in_words(order, gone.amount_minor)} of {gone.payment_id} were {WORDS[gone.why]}",
            payment_id=gone.payment_id,
            effect=gone.effect,
            shipment_ids=tuple(key for key in charged if order.shipments[key] == "open"),
        )


class Paid(NamedTuple):
    """Amounts in minor units: `asked` of a payment, or granted as an exchange's credit; `given_back` is the part
    refunded.
    """

    asked: int
    given_back: int


def missing(order: Order, bearer: str) -> int:
    """Return the amount in minor units by which a payment, or an exchange's credit, falls short of what it still has to
    pay.
    """
    paid = _paid(order, bearer)
    needed = _needed(order, bearer)
    spare = paid.asked - needed
    gone = sum(event.amount_minor for event in order.gone.values() if borne_by(event) == bearer)
    return min(max(gone + min(paid.given_back, spare) - spare, 0), needed)


def _paid(order: Order, bearer: str) -> Paid:
    assert order.content
    if bearer == CREDIT:
        return Paid(order.content.credit_minor, order.credit_left + order.credit_back)
    payment = order.live_payments.get(bearer)
    return Paid(payment.due.amount_minor if payment else 0, order.given_back.get(bearer, 0))


def _needed(order: Order, bearer: str) -> int:
    """Return the amount that is still to be paid with it: before the release all of it and at most the order's total,
    then what the parcels bear that have not left.
    """
    assert order.content
    if order.phase in BEFORE_RELEASE:
        return min(_paid(order, bearer).asked, order.content.total_minor)
    if order.phase != "fulfilling":
        return 0
    return sum(_charge(order, key, bearer) for key in order.in_status("open", "held"))


def _charge(order: Order, shipment_id: str, bearer: str) -> int:
    plan = order.plans[shipment_id]
    charges = charges_of(order, plan)
    if bearer == CREDIT:
        return max(plan.worth_minor - sum(charge.amount_minor for charge in charges), 0)
    return sum(charge.amount_minor for charge in charges if charge.payment_id == bearer)


def record_back(order: Order, command: o.RecordMoneyBack) -> Iterator[o.OrderEvent]:
    """Record that money is there again.

    A hold that a person asked for, or for which other money is missing, remains.
    """
    effect = (command.payment_id, command.effect)
    if (gone := order.gone.get(effect)) is None:
        return
    back = o.OrderMoneyBack(**{name: getattr(gone, name) for name in o.OrderMoneyBack.model_fields})
    yield back
    after = evolve(order, back)
    if effect in order.held_for and not after.held_for and order.phase not in o.FINAL_PHASES:
        yield from steps.unheld(after, "payment", "the money is there again")
