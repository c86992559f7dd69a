"""How events of shipping, refunds and returns change the state of an order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rpds import HashTrieMap

from oms_es.aggregates.order.state import Order, Return, ShipmentStatus, plus, with_payments
from oms_es.schemas import order as o
from oms_es.schemas.order import returns as x


def fold_released(order: Order, event: o.OrderReleased) -> Order:
    payments = [key for key, payment in order.payments.items() if payment.status == "asked"]
    for plan in event.shipments:
        order = _planned(order, plan)
    return with_payments(order, "secured", *payments)._replace(phase="fulfilling")


def planned_again(order: Order, event: o.OrderShipmentPlanned) -> Order:
    return _planned(order, event.plan, "held" if event.held else "open")


def _planned(order: Order, plan: o.ShipmentPlan, status: ShipmentStatus = "open") -> Order:
    return order._replace(
        plans=order.plans.insert(plan.shipment_id, plan), shipments=order.shipments.insert(plan.shipment_id, status)
    )


def fold_shipment(status: ShipmentStatus) -> Any:
    def fold(order: Order, event: Any) -> Order:
        moved = order._replace(shipments=order.shipments.insert(event.shipment_id, status))
        return answered(moved, event.shipment_id)

    return fold


def answered(order: Order, shipment_id: str) -> Order:
    """Note that a parcel stopped, left, or could not be stopped: no answer is awaited for it any more."""
    order = order._replace(stopping=order.stopping.discard(shipment_id))
    if not order.cuts:
        return order
    cuts = order.cuts
    for key, cut in order.cuts.items():
        if shipment_id in cut.shipments:
            left = cut.shipments.discard(shipment_id)
            cuts = cuts.insert(key, cut._replace(shipments=left))
    return order._replace(cuts=cuts)


def cancellation_requested(order: Order, event: o.OrderCancellationRequested) -> Order:
    return order._replace(phase="cancelling", cancel_reason=event.reason)


def cancellation_refused(order: Order, event: o.OrderCancellationRefused) -> Order:
    phase: o.Phase = "fulfilling" if order.phase == "cancelling" else order.phase
    order = order._replace(phase=phase, kept=order.kept.update(event.shipment_ids))
    for shipment_id in event.shipment_ids:
        order = answered(order, shipment_id)
    return order


def refund_requested(order: Order, event: o.OrderRefundRequested) -> Order:
    refunded, given_back = order.refunded, order.given_back
    credit = 0
    for part in event.parts:
        given_back = plus(given_back, [(part.payment_id, part.amount_minor)])
        refunded = plus(refunded, (((a.kind, a.line_id), a.amount_minor) for a in part.allocations))
        credit += sum(a.amount_minor for a in part.allocations if a.kind == "credit")
    if event.rma_id is not None:
        order = _return_credited(order, event.rma_id, event.refunded_units)
    if event.credit:
        refunded = plus(refunded, (((a.kind, a.line_id), a.amount_minor) for a in event.credit.allocations))
        credit += sum(a.amount_minor for a in event.credit.allocations if a.kind == "credit")
    return order._replace(
        applied=order.applied.insert(event.refund_id, event.asked),
        refunded=refunded,
        given_back=given_back,
        refunded_units=plus(order.refunded_units, event.refunded_units.items()),
        credited=order.credited - credit,
        exchanges_back=plus(order.exchanges_back, [(event.exchange_order_id, credit)] if credit else ()),
        credit_back=order.credit_back + (event.credit.amount_minor if event.credit else 0),
    )


def fold_credit_left(order: Order, event: o.OrderCreditLeft) -> Order:
    """Add to the credit left, unless the event belongs to an earlier order of the same id."""
    own = order.content is not None and event.exchange_of == order.content.exchange_of
    return order._replace(credit_left=order.credit_left + event.amount_minor) if own else order


def fold_delivered(order: Order, event: o.OrderShipmentDelivered) -> Order:
    moments = [moment for moment in (order.delivered_at, event.delivered_at) if moment]
    moved: Order = fold_shipment("delivered")(order, event)
    return moved._replace(delivered_at=max(moments, default=None))


def shipment_returned(order: Order, event: o.OrderShipmentReturned) -> Order:
    back = order._replace(came_back=order.came_back.insert(event.return_id, event))
    if event.complete and order.shipments.get(event.shipment_id) != "delivered":
        back = fold_shipment("returned")(back, event)
    return back


def shipment_lost(order: Order, event: o.OrderShipmentLost) -> Order:
    gone: Order = fold_shipment("lost")(order, event)
    return gone._replace(lost=order.lost.insert(event.shipment_id, event))


def return_requested(order: Order, event: x.OrderReturnRequested) -> Order:
    asked = plus(HashTrieMap(), ((line.line_id, line.quantity) for line in event.lines))
    known = Return(asked, event.replacement, event.requested_at, to_account=event.to_account)
    return order._replace(
        returns=order.returns.insert(event.rma_id, known),
        applied=order.applied.insert(f"return/{event.rma_id}", event.asked),
    )


def return_ended(order: Order, event: x.OrderReturnEnded) -> Order:
    known = order.returns[event.rma_id]
    ended = plus(known.ended, ((line.line_id, line.quantity) for line in event.lines))
    return order._replace(returns=order.returns.insert(event.rma_id, known._replace(ended=ended)))


def _return_credited(order: Order, rma_id: str, units: Mapping[str, int]) -> Order:
    known = order.returns.get(rma_id)
    if known is None:  # a credit for a lost parcel: no return is expected for it
        return order
    credited = plus(known.credited, units.items())
    return order._replace(returns=order.returns.insert(rma_id, known._replace(credited=credited)))


def _exchange_id(event: x.OrderExchangeCredited) -> str:
    return o.order_id_of(event.content.channel, event.content.external_id)


def exchange_credited(order: Order, event: x.OrderExchangeCredited) -> Order:
    return _return_credited(order, event.rma_id, event.credited_units)._replace(
        applied=order.applied.insert(event.credit_id, ""),
        refunded=plus(order.refunded, (((a.kind, a.line_id), a.amount_minor) for a in event.allocations)),
        refunded_units=plus(order.refunded_units, event.credited_units.items()),
        credited=order.credited + event.content.credit_minor,
        exchanges=(*order.exchanges, (_exchange_id(event), event.content.credit_minor)),
    )


def credit_refused(order: Order, event: x.OrderCreditRefused) -> Order:
    return order._replace(applied=order.applied.insert(event.credit_id, ""))
