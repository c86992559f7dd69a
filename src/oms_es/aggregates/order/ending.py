"""The premature end of an order: it is cancelled, or its time to pay is over."""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.aggregates.order import cancellation
from oms_es.aggregates.order import transitions as steps
from oms_es.aggregates.order.evolve import evolve
from oms_es.aggregates.order.state import Order
from oms_es.kernel import Refused
from oms_es.schemas import order as o
from oms_es.schemas.order.refusals import OrderRefusal


def lapse(order: Order, command: o.LapseOrder) -> Iterator[o.OrderEvent]:
    if command.payment_id not in (None, f"{order.order_id}.{order.payments_made}"):
        return  # its customer was given more time since
    if order.phase == "awaiting_payment":
        yield from steps.ended(order, "payment overdue")


def cancel_order(order: Order, command: o.CancelOrder) -> Iterator[o.OrderEvent]:
    if order.phase in ("cancelled", "cancelling"):
        return
    if order.phase == "merged":
        raise is_merged(order)
    if order.phase == "completed" or (order.shipments and not order.in_status("open", "held")):
        if command.reason == order.cancel_reason and order.in_status("cancelled"):
            return  # asked before: the parcels that could be stopped were stopped, and the rest had left
        raise Refused(OrderRefusal.ALREADY_SHIPPED, f"order {command.order_id} has left; ask for a return instead")
    if not may_be_cancelled(order):
        raise Refused(
            OrderRefusal.WITH_CARRIER, f"order {command.order_id} is with the carrier; ask for a return instead"
        )
    if order.phase == "fulfilling":
        yield from _stopped(order, command)
    else:
        yield from steps.ended(order, command.reason, left=command.by_customer)


def is_merged(order: Order) -> Refused:
    return Refused(
        OrderRefusal.MERGED,
        f"order {order.order_id} was merged into order {order.merged_into}, which has its lines now; name that order "
        "to cancel lines, amend it or ask for a return",
    )


def may_be_cancelled(order: Order) -> bool:
    """Return whether some parcel may still be stopped; a held parcel needs no answer of a warehouse for that."""
    return bool(order.in_status("held") or not order.kept)


def _stopped(order: Order, command: o.CancelOrder) -> Iterator[o.OrderEvent]:
    requested = o.OrderCancellationRequested(
        order_id=command.order_id, reason=command.reason, shipment_ids=order.stoppable
    )
    yield requested
    yield from cancellation.stop_held(evolve(order, requested), order.in_status("held"))
