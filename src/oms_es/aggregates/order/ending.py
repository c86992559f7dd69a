"""An order ends before it is complete: cancelled, or lapsed."""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.aggregates.order import transitions as steps
from oms_es.aggregates.order.state import Order
from oms_es.kernel import Refused
from oms_es.schemas import order as o
from oms_es.schemas.order.refusals import OrderRefusal


def lapse(order: Order, command: o.LapseOrder) -> Iterator[o.OrderEvent]:
    if command.payment_id not in (None, f"{order.order_id}.{order.payments_made}"):
        return  # it was given more time since
    if order.phase == "awaiting_payment":
        yield from steps.ended(order, "payment overdue")


def cancel_order(order: Order, command: o.CancelOrder) -> Iterator[o.OrderEvent]:
    if order.phase in ("cancelled", "cancelling"):
        return
    open_shipments = tuple(sorted(s for s, status in order.shipments.items() if status == "open"))
    if order.phase in ("shipped", "completed") or (order.shipments and not open_shipments):
        raise Refused(OrderRefusal.ALREADY_SHIPPED, f"order {command.order_id} has left; ask for a return instead")
    if order.kept:
        raise Refused(
            OrderRefusal.WITH_CARRIER, f"order {command.order_id} is with the carrier; ask for a return instead"
        )
    if order.phase == "fulfilling":
        yield o.OrderCancellationRequested(
            order_id=command.order_id, reason=command.reason, shipment_ids=open_shipments
        )
    else:
        yield from steps.ended(order, command.reason)
