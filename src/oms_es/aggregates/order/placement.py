"""An order is placed, or its channel reports something about it before it comes.

Invariant: an order is placed once. Sent again with other content it becomes a conflict, for a person to settle. What
was reported before it came is applied when it is placed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from oms_es.aggregates.order import elsewhere
from oms_es.aggregates.order import transitions as steps
from oms_es.aggregates.order.ending import cancel_order
from oms_es.aggregates.order.evolve import evolve
from oms_es.aggregates.order.state import Order
from oms_es.aggregates.repeats import asked_of, done_before
from oms_es.kernel import Refused
from oms_es.schemas import order as o
from oms_es.schemas.order import returns as x
from oms_es.schemas.order.refusals import OrderRefusal
from oms_es.schemas.values import names

Kept = o.AmendOrder | o.CancelOrder | o.RecordFulfilment | o.RecordChannelRefund

KEPT = get_args(Kept)
"""Messages of a channel about an order that may come before it."""

EARLY_REPORTS_MAX = 100
"""How many amendments, fulfilments and refunds are kept for one order that has not come."""

FROM_WITHIN = (
    o.SourceOrder,
    o.RetrySourcing,
    o.RecordShortage,
    o.RecordPresaleCovered,
    o.LapsePresale,
    o.RecordPaymentAuthorized,
    o.RecordPaymentFailed,
    o.RecordPaymentWithdrawn,
    o.RepeatPayment,
    o.RecordMoneyGone,
    o.RecordMoneyBack,
    o.RecordShipmentDispatched,
    o.RecordShipmentDelivered,
    o.RecordShipmentReturned,
    o.RecordShipmentLost,
    o.RecordShipmentCancelled,
    o.RecordShipmentKept,
    o.LapseOrder,
    x.CreditReturn,
    x.RefundCredit,
    x.RecordReturnEnded,
    x.RecordFeedbackGiven,
)
"""Reports of the engine to an order about stock, money and parcels, which may also concern stock and money that were
handled by hand without an order."""


def require_granted(command: o.PlaceOrder) -> None:
    """Raise Refused for what only the engine makes: an exchange, or a name in the engine's own form."""
    if command.kind == "exchange":
        raise Refused(
            OrderRefusal.NOT_GRANTED,
            f"order {command.external_id} is an exchange, and no return of ours granted it; request the return with "
            "resolution exchange, and its order is sent by itself",
        )
    if names.is_made(command.external_id):
        raise Refused(
            OrderRefusal.RESERVED_NAME,
            f"external_id {command.external_id} begins with a prefix that is reserved for generated orders; rename it",
        )


def require_its_content(order_id: str, content: o.OrderContent) -> None:
    """Raise Refused if the content belongs to another order than the one that is named."""
    if order_id not in o.order_ids_of(content.channel, content.external_id):
        raise Refused(
            OrderRefusal.NOT_ITS_CONTENT,
            f"the content is of order {content.channel}/{content.external_id}, and {order_id} is named; name that one",
        )


def place_exchange(order: Order, command: o.PlaceExchange) -> Iterator[o.OrderEvent]:
    """Place the order of an exchange.

    If its id was taken, before such ids were refused, nothing is sent and the credit is given back.
    """
    require_its_content(command.order_id, command.content)
    content = command.content
    fields = {name: getattr(content, name) for name in o.OrderContent.model_fields}
    sent = o.PlaceOrder.model_construct(**fields)
    taken = order.placed is not None and sent.fingerprint not in (order.placed.fingerprint, *order.conflicts)
    yield from place_order(order, sent)
    if taken and content.credit_minor:
        yield o.OrderCreditLeft(
            order_id=command.order_id,
            exchange_of=content.exchange_of or "",
            amount_minor=content.credit_minor,
            currency=content.currency,
        )


def place_order(order: Order, command: o.PlaceOrder) -> Iterator[o.OrderEvent]:
    fingerprint = command.fingerprint
    content = command.content
    if order.placed is None:
        placed = o.OrderPlaced.model_construct(
            order_id=command.order_id, fingerprint=fingerprint, revision=command.revision, **content
        )
        yield placed
        after = evolve(order, placed)
        if command.cancelled:
            yield from steps.ended(after, command.cancelled)
        else:
            yield from elsewhere.catch_up(after, command.fulfilled)
    elif command.cancelled:
        yield from cancel_order(order, o.CancelOrder(order_id=command.order_id, reason=command.cancelled))
    elif fingerprint == order.placed.fingerprint or _names_its_customer(order.placed, command):
        if command.fulfilled:
            yield from elsewhere.follow(order, elsewhere.units_of(command.fulfilled), elsewhere.PLACED_AGAIN)
    elif fingerprint not in order.conflicts:
        yield o.DuplicateConflictFound(
            order_id=command.order_id, fingerprint=fingerprint, content=o.OrderContent(**content)
        )


def is_known_otherwise(order: Order, command: o.PlaceOrder) -> bool:
    """Return whether the order has other content, and stays as it is. One that was amended to this content since then
    is as it was sent."""
    if command.cancelled or command.fingerprint not in order.conflicts or order.content is None:
        return False
    named = {name: value for name, value in command.content.items() if name != "placed_at"}
    return any(getattr(order.content, name) != value for name, value in named.items())


def _names_its_customer(placed: o.OrderPlaced, command: o.PlaceOrder) -> bool:
    """Return whether it is the same order, first sent without its customer, before channels could name one."""
    has_no_customer = placed.customer is None and not placed.notes and not placed.metadata
    return has_no_customer and command.without_customer.fingerprint == placed.fingerprint


def keep(order: Order, command: Kept) -> Iterator[o.OrderEvent]:
    """Keep a message that came before its order.

    A cancellation is always kept, as there is at most one. Raise Refused if too many messages are kept.
    """
    if isinstance(command, o.CancelOrder):
        if order.early_cancellation is None:
            yield o.OrderCancellationKept(order_id=command.order_id, reason=command.reason, called=command.called)
        return
    for event in _kept(order, command):
        if len(order.early) + len(order.early_reports) >= EARLY_REPORTS_MAX:
            raise Refused(
                OrderRefusal.TOO_MANY_KEPT,
                f"{EARLY_REPORTS_MAX} messages are kept for order {command.order_id}, which has not come; send it "
                "first, then this again",
            )
        yield event


def _kept(order: Order, command: o.AmendOrder | o.RecordFulfilment | o.RecordChannelRefund) -> Iterator[o.OrderEvent]:
    if not isinstance(command, o.AmendOrder):
        yield from elsewhere.keep(order, command)
    elif not done_before(_asked_early(order, command), command):
        yield o.OrderAmendmentKept(order_id=command.order_id, amendment=command)


def _asked_early(order: Order, command: o.AmendOrder) -> str | None:
    kept = order.early.get(command.amendment_id)
    return asked_of(kept) if kept else None


def chase_placement(order: Order, command: o.ChasePlacement) -> Iterator[o.OrderEvent]:
    if order.placed is None and not order.missed and (waiting := elsewhere.waiting(order)):
        yield o.OrderPlacementOverdue(order_id=command.order_id, waiting=waiting, called=order.early_called)


def record_given(order: Order, command: o.RecordReservation) -> Iterator[o.OrderEvent]:
    """Record a reservation for an order that is about to begin: stock may hear of a split before the new order does."""
    held = (command.reservation_id, command.sku, command.location)
    if o.was_transferred(command.reservation_id) and held not in order.transferred_in:
        yield o.OrderLineAllocated(**command.model_dump())


def record_not_given(order: Order, command: o.RecordShortage) -> Iterator[o.OrderEvent]:
    """Record that units for an order that is about to begin could not be transferred, or are gone after the
    transfer.
    """
    held = (command.reservation_id, command.sku, command.location)
    if o.was_transferred(command.reservation_id) and held not in order.not_given:
        yield o.OrderTransferShort(**command.model_dump())
