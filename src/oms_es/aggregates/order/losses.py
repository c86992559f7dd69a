"""What an order does about a lost parcel, as a person has chosen.

Invariant: the amount paid for lost units is either refunded or pays for sending them again, once and never both.
Delivery of the parcel is not awaited any more, and lost units cannot be returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from oms_es.aggregates.order import refunding
from oms_es.aggregates.order import transitions as steps
from oms_es.aggregates.order.evolve import evolve
from oms_es.aggregates.order.state import Order
from oms_es.kernel import Refused
from oms_es.schemas import order as o
from oms_es.schemas.order import returns as x
from oms_es.schemas.payment import RefundAllocation


def record_lost(order: Order, command: o.RecordShipmentLost) -> Iterator[o.OrderEvent]:
    """Record the loss; never refuse, because the parcel is gone.

    A refund that is impossible becomes an event for a person.
    """
    if order.shipments.get(command.shipment_id) not in ("open", "dispatched"):
        return
    lost = o.OrderShipmentLost(
        **dict(command),
        lines=refunding.shares_back(order, command.shipment_id, command.items),
        shipping_minor=order.plans[command.shipment_id].shipping_minor if command.complete else 0,
    )
    yield lost
    after = evolve(order, lost)
    credit_id = o.loss_of(command.shipment_id)
    if lost.worth_minor or command.choice == "reship":
        try:
            yield _sent_again(after, lost, credit_id) if command.choice == "reship" else _refund(after, lost, credit_id)
        except Refused as refused:
            yield x.OrderCreditRefused(
                order_id=order.order_id, rma_id=credit_id, credit_id=credit_id, reason=str(refused)
            )
    if after.phase not in o.FINAL_PHASES:
        yield from steps.milestones(after)


def _refund(order: Order, lost: o.OrderShipmentLost, refund_id: str) -> o.OrderRefundRequested:
    return refunding.refund(order, _asked(lost, refund_id))


def _asked(lost: o.OrderShipmentLost, refund_id: str) -> o.RefundOrder:
    """Return the refund as amounts, not units, because a parcel may hold a part of a bundle."""
    return o.RefundOrder.model_construct(
        order_id=lost.order_id,
        refund_id=refund_id,
        lines=tuple(
            o.RefundLine(line_id=share.line_id, amount_minor=share.amount_minor)
            for share in lost.lines
            if share.amount_minor
        ),
        shipping_minor=lost.shipping_minor,
        reason=f"{lost.shipment_id} was lost: {lost.reason}"[: o.REASON_LENGTH_MAX - 10],
    )


def _sent_again(order: Order, lost: o.OrderShipmentLost, credit_id: str) -> x.OrderExchangeCredited:
    """Return the credit for another order of the same units, which costs exactly what was paid for them."""
    assert order.content
    allocations: Sequence[RefundAllocation] = ()
    if lost.worth_minor:
        allocations, _ = refunding.allocations_of(order, _asked(lost, credit_id))
        refunding.require_unspent(order, lost.worth_minor)
    lines = tuple(_lines(lost.lines))
    goods = sum(line.quantity * line.unit_price_minor for line in lines)
    fields = {name: getattr(order.content, name) for name in SENT_AS}
    return x.OrderExchangeCredited(
        order_id=order.order_id,
        rma_id=credit_id,
        credit_id=credit_id,
        allocations=tuple(allocations),
        credited_units={},
        content=o.OrderContent(
            **fields,
            external_id=credit_id,
            placed_at=order.content.placed_at,
            lines=lines,
            shipping_minor=lost.worth_minor - goods,
            kind="exchange",
            exchange_of=credit_id,
            credit_minor=lost.worth_minor,
        ),
    )


SENT_AS = (
    "channel",
    "currency",
    "ship_to",
    "payment_token",
    "priority",
    "delivery_option",
    "allow_split",
    "pickup",
    "pickup_at",
    "customer",
    "notes",
)


def _lines(shares: Iterable[o.LineShare]) -> Iterator[o.OrderLine]:
    """Yield the lines at whole unit prices; the remainder of the shares' amounts is added to shipping."""
    for number, share in enumerate(shares, start=1):
        yield o.OrderLine(
            line_id=str(number),
            sku=share.sku,
            quantity=share.quantity,
            unit_price_minor=share.amount_minor // share.quantity,
        )
