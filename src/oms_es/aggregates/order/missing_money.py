"""Money of an order that went by another way: by the provider's dashboard, by the customer's bank, or it never came.

Invariant: goods do not go out when their money is gone, as long as they can be stopped and no person says otherwise.
What is gone is first taken to be of parcels that have left, and of what the payment was asked for beyond its parcels;
only when the rest no longer covers what a payment is still to be charged is the order held, for exactly that refund or
dispute. It comes off when all that holds it is there again, or when a person takes it off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from oms_es.aggregates.order import transitions as steps
from oms_es.aggregates.order.evolve import evolve
from oms_es.aggregates.order.money import charges_of, in_words
from oms_es.aggregates.order.state import BEFORE_RELEASE, Order
from oms_es.schemas import order as o

WORDS: Mapping[o.MoneyGone, str] = {
    "refunded": "given back at the provider",
    "disputed": "disputed by the customer's bank",
    "not_captured": "never taken",
}


def record_gone(order: Order, command: o.RecordMoneyGone) -> Iterator[o.OrderEvent]:
    assert order.content
    if (command.payment_id, command.effect) in order.gone:
        return
    gone = o.OrderMoneyGone(**dict(command), currency=order.content.currency, **order.of_customer)
    yield gone
    yield from _held(evolve(order, gone), gone)


def _held(order: Order, gone: o.OrderMoneyGone) -> Iterator[o.OrderHeld]:
    if not missing(order, gone.payment_id):
        return
    charged = [key for key in (*order.stoppable, *order.in_status("held")) if _charge(order, key, gone.payment_id)]
    if order.phase in BEFORE_RELEASE or charged:
        yield o.OrderHeld(
            order_id=order.order_id,
            kind="payment",
            note=f"{in_words(order, gone.amount_minor)} of {gone.payment_id} were {WORDS[gone.why]}",
            payment_id=gone.payment_id,
            effect=gone.effect,
            shipment_ids=tuple(key for key in charged if order.shipments[key] == "open"),
        )


def missing(order: Order, payment_id: str) -> int:
    """What a payment lacks of what it is still to be charged."""
    payment = order.live_payments.get(payment_id)
    needed = _needed(order, payment_id)
    if payment is None or not needed:
        return 0
    spare = payment.due.amount_minor - needed
    gone = sum(event.amount_minor for event in order.gone.values() if event.payment_id == payment_id)
    return min(max(gone + min(order.given_back.get(payment_id, 0), spare) - spare, 0), needed)


def _needed(order: Order, payment_id: str) -> int:
    """Before the release all of it; then what the parcels bear that have not left."""
    if order.phase in BEFORE_RELEASE:
        return order.live_payments[payment_id].due.amount_minor if payment_id in order.live_payments else 0
    if order.phase != "fulfilling":
        return 0
    return sum(_charge(order, key, payment_id) for key in order.in_status("open", "held"))


def _charge(order: Order, shipment_id: str, payment_id: str) -> int:
    plan = order.plans.get(shipment_id)
    charges = charges_of(order, plan) if plan else ()
    return sum(charge.amount_minor for charge in charges if charge.payment_id == payment_id)


def record_back(order: Order, command: o.RecordMoneyBack) -> Iterator[o.OrderEvent]:
    """A hold that a person asked for, or that other money is missing for, stays on."""
    effect = (command.payment_id, command.effect)
    if (gone := order.gone.get(effect)) is None:
        return
    back = o.OrderMoneyBack(**dict(gone))
    yield back
    after = evolve(order, back)
    if effect in order.held_for and not after.held_for and order.phase not in o.FINAL_PHASES:
        yield from steps.unheld(after, "payment", "the money is there again")
