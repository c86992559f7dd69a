"""Order progress: what stock, payment and shipments did is recorded on the order they did it for.

Reads    StockReserved, StockShort, StockReservationBroken, StockReservationTransferred, StockPresaleCovered,
         PaymentAuthorized, PaymentDeclined, PaymentFailed, PaymentVoided, PaymentRefunded, PaymentRefundReversed,
         PaymentDisputeOpened, PaymentDisputeWon, PaymentCaptureRefused, PaymentCaptureFailed, PaymentCaptureShort,
         PaymentReauthorizationRequested, PaymentReauthorizationDeclined, ShipmentDispatched, ShipmentDelivered,
         ShipmentReturnedToSender, ShipmentLost, ShipmentCancelled, ShipmentCancellationRefused
Emits    RecordReservation, RecordShortage, RecordPresaleCovered, RecordPaymentAuthorized, RecordPaymentFailed,
         RecordPaymentWithdrawn, RecordMoneyGone, RecordMoneyBack,
         RecordShipmentDispatched, RecordShipmentDelivered, RecordShipmentReturned,
         RecordShipmentLost, RecordShipmentCancelled, RecordShipmentKept
Decides  nothing; the order is the memory of its own process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oms_es.kernel import Command, Consumer
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas.payment import PaymentAuthorized, PaymentDeclined, PaymentFailed, PaymentVoided
from oms_es.schemas.shipment import (
    ShipmentCancellationRefused,
    ShipmentCancelled,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentEvent,
    ShipmentLost,
    ShipmentReturnedToSender,
)
from oms_es.schemas.stock import (
    ReservationEvent,
    StockPresaleCovered,
    StockReservationBroken,
    StockReservationTransferred,
    StockReserved,
    StockShort,
)

REASON_CHARACTERS_MAX = 500
"""How much of a reason the order keeps; a provider may send any length, and the payment keeps all of it."""

consumer = Consumer(
    "order_progress",
    emits=(
        o.RecordReservation,
        o.RecordShortage,
        o.RecordPresaleCovered,
        o.RecordPaymentAuthorized,
        o.RecordPaymentFailed,
        o.RecordPaymentWithdrawn,
        o.RecordMoneyGone,
        o.RecordMoneyBack,
        o.RecordShipmentDispatched,
        o.RecordShipmentDelivered,
        o.RecordShipmentReturned,
        o.RecordShipmentLost,
        o.RecordShipmentCancelled,
        o.RecordShipmentKept,
    ),
)
REPORTS: dict[type[ShipmentEvent], type[Command]] = {
    ShipmentDispatched: o.RecordShipmentDispatched,
    ShipmentCancelled: o.RecordShipmentCancelled,
    ShipmentCancellationRefused: o.RecordShipmentKept,
}


@consumer.on(StockReserved, StockShort, StockReservationBroken)
def record_reservation_on_stock_answered(event: ReservationEvent) -> Iterator[Command]:
    if not event.reservation_id.startswith(f"{event.order_id}/"):
        return  # a reservation that no order asked for, such as a cart's
    report: Any = o.RecordReservation if isinstance(event, StockReserved) else o.RecordShortage
    yield report(
        order_id=event.order_id,
        reservation_id=event.reservation_id,
        sku=event.sku,
        location=event.location,
        quantity=event.quantity,
        **({"presale": True} if event.presale and report is o.RecordReservation else {}),
    )


@consumer.on(StockReservationTransferred)
def record_transfer_on_stock_reservation_transferred(event: StockReservationTransferred) -> Iterator[Command]:
    if event.to_reservation_id.startswith(f"{event.to_order_id}/"):
        yield o.RecordReservation(
            order_id=event.to_order_id,
            reservation_id=event.to_reservation_id,
            sku=event.sku,
            location=event.location,
            quantity=event.quantity,
        )


@consumer.on(StockPresaleCovered)
def record_covered_presale_on_stock_presale_covered(event: StockPresaleCovered) -> Iterator[Command]:
    if event.reservation_id.startswith(f"{event.order_id}/"):
        yield o.RecordPresaleCovered(
            order_id=event.order_id, reservation_id=event.reservation_id, sku=event.sku, location=event.location
        )


@consumer.on(PaymentAuthorized)
def record_payment_on_payment_authorized(event: PaymentAuthorized) -> Iterator[Command]:
    yield o.RecordPaymentAuthorized(order_id=event.order_id, payment_id=event.payment_id)


@consumer.on(PaymentDeclined, PaymentFailed)
def record_failed_payment_on_payment_declined_or_failed(event: PaymentDeclined | PaymentFailed) -> Iterator[Command]:
    reason = event.reason[:REASON_CHARACTERS_MAX]
    retriable = isinstance(event, PaymentDeclined) and event.retriable
    yield o.RecordPaymentFailed(
        order_id=event.order_id, payment_id=event.payment_id, reason=reason, retriable=retriable
    )


@consumer.on(PaymentVoided)
def record_lost_money_on_payment_voided(event: PaymentVoided) -> Iterator[Command]:
    if not event.asked:
        reason = event.reason[:REASON_CHARACTERS_MAX]
        yield o.RecordPaymentWithdrawn(order_id=event.order_id, payment_id=event.payment_id, reason=reason)


GONE: dict[type[p.PaymentEvent], tuple[o.MoneyGone, str, str]] = {
    p.PaymentRefunded: ("refunded", "refund", "refund_id"),
    p.PaymentDisputeOpened: ("disputed", "dispute", "dispute_id"),
    p.PaymentCaptureRefused: ("not_captured", "capture", "capture_id"),
    p.PaymentCaptureFailed: ("not_captured", "capture", "capture_id"),
    p.PaymentReauthorizationDeclined: ("not_captured", "capture", "capture_id"),
    p.PaymentCaptureShort: ("not_captured", "short", "capture_id"),
}
"""For each event why the money is gone, and the kind and field that name the effect."""
BACK: dict[type[p.PaymentEvent], tuple[str, str]] = {
    p.PaymentRefundReversed: ("refund", "refund_id"),
    p.PaymentDisputeWon: ("dispute", "dispute_id"),
    p.PaymentReauthorizationRequested: ("capture", "capture_id"),
}


@consumer.on(*GONE)
def record_lost_money_on_money_gone(event: Any) -> Iterator[Command]:
    """Record that money of an order is gone, unless the order itself had asked for the refund."""
    if isinstance(event, p.PaymentRefunded) and event.asked:
        return
    why, kind, name = GONE[type(event)]
    yield o.RecordMoneyGone(
        order_id=event.order_id,
        payment_id=event.payment_id,
        effect=f"{kind}/{getattr(event, name)}",
        why=why,
        amount_minor=event.amount_minor,
    )


@consumer.on(*BACK)
def record_regained_money_on_money_back(event: Any) -> Iterator[Command]:
    kind, name = BACK[type(event)]
    effect = f"{kind}/{getattr(event, name)}"
    yield o.RecordMoneyBack(order_id=event.order_id, payment_id=event.payment_id, effect=effect)


@consumer.on(*REPORTS)
def record_shipment_on_shipment_moved(event: ShipmentEvent) -> Iterator[Command]:
    yield REPORTS[type(event)](order_id=event.order_id, shipment_id=event.shipment_id)  # type: ignore[call-arg] # all three reports have these two fields


@consumer.on(ShipmentLost)
def record_loss_on_shipment_lost(event: ShipmentLost) -> Iterator[Command]:
    yield o.RecordShipmentLost(
        order_id=event.order_id,
        shipment_id=event.shipment_id,
        items=event.items,
        complete=event.complete,
        choice=event.choice,
        reason=event.reason,
    )


@consumer.on(ShipmentDelivered)
def record_delivery_on_shipment_delivered(event: ShipmentDelivered) -> Iterator[Command]:
    yield o.RecordShipmentDelivered(
        order_id=event.order_id, shipment_id=event.shipment_id, delivered_at=event.delivered_at
    )


@consumer.on(ShipmentReturnedToSender)
def record_return_on_shipment_returned_to_sender(event: ShipmentReturnedToSender) -> Iterator[Command]:
    """Record units that came back.

    The return's id is the carton's or, without cartons, the shipment's: each comes back once.
    """
    yield o.RecordShipmentReturned(
        order_id=event.order_id,
        shipment_id=event.shipment_id,
        return_id="/".join((event.shipment_id, *event.carton_ids[:1])).rstrip("/"),
        location=event.location,
        items=event.items,
        complete=event.complete,
    )
