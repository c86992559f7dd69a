"""Deadlines: what is due when, for the ticker. A deadline is open as long as its row exists.

`kind` says what is due (the deadline_keeper knows the command), `subject` names the reservation, payment or lot. The
row of a lot counts its sellable `units` in one bin, and is deleted with the last of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text

from oms_es.kernel import Event, Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.projections.operations.deadline_keys import (
    UNTIL_AVAILABLE,
    UNTIL_PAID,
    UNTIL_PLACED,
    UNTIL_RETRIED,
    key_of_deferred,
    key_of_ended,
    key_of_hold,
    key_of_order,
    key_of_payment,
    key_of_repeated,
    key_of_secured,
    key_of_undone,
)
from oms_es.projections.operations.stock_deadlines import (
    LOT,
    NEVER,
    counted_lot,
    key_of_lot,
    key_of_reservation,
    key_of_shipped,
    lot_change,
    lot_of,
)
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.schemas import stock as s
from oms_es.schemas.finance import gift_card as g
from oms_es.schemas.returns import rma as r
from oms_es.schemas.values.types import shifted

PAYMENT_DUE_SECONDS = 1_800

PAYMENT_RETRY_SECONDS = 300
"""The time before the second attempt to pay; each further attempt waits twice as long."""

ANSWER_DUE_SECONDS = 600
"""The time until a provider is asked because its callback has not come; each further time it is twice as long."""

PAYMENT_HOLD_SECONDS = 3 * 86_400
"""The time in which a person may find another way to pay, before the order lapses."""

PLACEMENT_DUE_SECONDS = 86_400
"""The time in which an order should come after its channel has reported something about it."""

table = Table(
    "deadlines",
    METADATA,
    Column("deadline_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("order_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("units", BigInteger, nullable=False),
    Index("deadlines_by_time", "due_at"),
)

projection = Projection(table, version=3)


def _due(key: Key, kind: str, due_at: datetime | None, order_id: str, subject: str) -> Row:
    return {
        "deadline_id": key[0],
        "kind": kind,
        "due_at": due_at,
        "order_id": order_id,
        "subject": subject,
        "sku": "",
        "location": "",
        "units": 0,
    }


def _until_paid(recorded: Recorded, key: Key, seconds: int, payment_id: str) -> Row:
    order_id = recorded.event.order_id  # type: ignore[attr-defined] # only order events come here
    return _due(key, "payment_overdue", recorded.recorded_at + timedelta(seconds=seconds), order_id, payment_id)


@projection.on(o.OrderAmendmentKept, o.OrderCancellationKept, o.OrderReportKept, keys=key_of_order(UNTIL_PLACED))
def on_something_kept(row: Row | None, event: o.OrderEvent, recorded: Recorded, key: Key) -> Row:
    due_at = recorded.recorded_at + timedelta(seconds=PLACEMENT_DUE_SECONDS)
    return row or _due(key, "placement_overdue", due_at, event.order_id, "")


@projection.on(o.OrderPlaced, o.OrderPlacementOverdue, keys=key_of_order(UNTIL_PLACED))
def on_order_placed_or_order_placement_overdue(_row: Row | None, _event: o.OrderEvent, _key: Key) -> None:
    return None


@projection.on(o.OrderAllocated, keys=key_of_payment)
def on_order_allocated(_row: Row | None, event: o.OrderAllocated, recorded: Recorded, key: Key) -> Row:
    newest = event.payments[-1].payment_id if event.payments else event.payment_id
    return _until_paid(recorded, key, PAYMENT_DUE_SECONDS, newest)


@projection.on(o.OrderBalanceDue, keys=key_of_order(UNTIL_PAID, UNTIL_AVAILABLE))
def on_order_balance_due(_row: Row | None, event: o.OrderBalanceDue, recorded: Recorded, key: Key) -> Row | None:
    if str(key[0]).startswith(f"{UNTIL_AVAILABLE}/"):
        return None
    return _until_paid(recorded, key, event.due_seconds, event.payments[-1].payment_id)


@projection.on(o.OrderPaymentDeferred, keys=key_of_deferred)
def on_order_payment_deferred(
    row: Row | None, event: o.OrderPaymentDeferred, recorded: Recorded, key: Key
) -> Row | None:
    pause = PAYMENT_RETRY_SECONDS * 2 ** (event.attempt - 1)
    if str(key[0]).startswith(f"{UNTIL_RETRIED}/"):
        again_at = recorded.recorded_at + timedelta(seconds=pause)
        return _due(key, "payment_retry", again_at, event.order_id, event.payment_id)
    until = recorded.recorded_at + timedelta(seconds=pause + PAYMENT_DUE_SECONDS)
    return row and {**row, "due_at": max(row["due_at"], until)}


@projection.on(o.OrderPaymentRequested, keys=key_of_repeated)
def on_order_payment_requested(
    row: Row | None, event: o.OrderPaymentRequested, recorded: Recorded, key: Key
) -> Row | None:
    if str(key[0]).startswith(f"{UNTIL_RETRIED}/"):
        return None
    until = _until_paid(recorded, key, PAYMENT_DUE_SECONDS, event.payment_id)
    return {**until, "due_at": max(row["due_at"], until["due_at"])} if row else until


@projection.on(o.OrderHeld, keys=key_of_hold)
def on_order_held(row: Row | None, event: o.OrderHeld, recorded: Recorded, key: Key) -> Row | None:
    if event.until:
        return _due(key, "hold_overdue", event.until, event.order_id, event.kind)
    until = recorded.recorded_at + timedelta(seconds=PAYMENT_HOLD_SECONDS)
    return row and {**row, "due_at": max(row["due_at"], until)}


@projection.on(o.OrderPresold, keys=key_of_order(UNTIL_AVAILABLE))
def on_order_presold(_row: Row | None, event: o.OrderPresold, key: Key) -> Row | None:
    if event.available_by is None:
        return None
    return _due(key, "presale_overdue", event.available_by, event.order_id, "")


@projection.on(o.OrderPaymentSecured, keys=key_of_secured)
@projection.on(
    o.OrderAmended,
    o.OrderFulfilledElsewhere,
    o.OrderLinesCancelled,
    o.OrderSplit,
    o.OrderMergedInto,
    o.OrderOverridden,
    keys=key_of_undone,
)
@projection.on(o.OrderHoldReleased, o.OrderHoldOverdue, keys=key_of_hold)
@projection.on(o.OrderReleased, keys=key_of_order(UNTIL_PAID, UNTIL_AVAILABLE))
@projection.on(o.OrderCancelled, keys=key_of_ended)
def on_settled(_row: Row | None, _event: Event, _key: Key) -> None:
    return None


@projection.on(s.StockReserved, keys=key_of_reservation)
def on_stock_reserved(_row: Row | None, event: s.StockReserved, key: Key) -> Row:
    return {
        **_due(key, "reservation_expiry", event.expires_at, event.order_id, event.reservation_id),
        "sku": event.sku,
        "location": event.location,
    }


@projection.on(
    s.StockReleased,
    s.StockReservationExpired,
    s.StockReservationBroken,
    keys=key_of_reservation,
)
def on_reservation_ended(
    _row: Row | None, _event: s.StockReleased | s.StockReservationExpired | s.StockReservationBroken, _key: Key
) -> None:
    return None


@projection.on(s.StockShipped, keys=key_of_shipped)
def on_stock_shipped(row: Row | None, event: s.StockShipped, key: Key) -> Row | None:
    if not str(key[0]).startswith(LOT):
        return None
    units = sum(pick.quantity for pick in event.picks if lot_of(event, pick.bin, pick.lot) == key)
    return row and counted_lot(row, -units, None)


@projection.on(
    s.StockReceived,
    s.StockReturned,
    s.StockMovedIn,
    s.StockMovedOut,
    s.StockWrittenOff,
    s.StockAdjusted,
    s.StockCounted,
    s.StockMovedToBin,
    s.StockConditionChanged,
    keys=key_of_lot,
)
def on_lot_changed(row: Row | None, event: Any, key: Key) -> Row | None:
    row = row or {
        **_due(key, "lot_expiry", NEVER, "", event.lot),
        "sku": event.sku,
        "location": event.location,
    }
    return counted_lot(row, lot_change(event, key), getattr(event, "lot_expires_at", None))


def key_of_authorization(event: Any) -> Iterable[Key]:
    """Return the key of the authorisation's deadline; none without an expiry, or if a capture leaves something held."""
    if isinstance(event, p.PaymentAuthorized) and event.expires_at is None:
        return ()
    if isinstance(event, p.PaymentCaptured | p.PaymentVoided) and event.asked:
        return ()
    if isinstance(event, p.PaymentCaptureRequested) and not event.final:
        return ()
    return ((f"authorization/{event.payment_id}",),)


@projection.on(p.PaymentAuthorized, p.PaymentExpirySet, keys=key_of_authorization)
def on_payment_authorized_or_payment_expiry_set(_row: Row | None, event: Any, key: Key) -> Row:
    return _due(key, "authorization_expiry", event.expires_at, event.order_id, event.payment_id)


@projection.on(
    p.PaymentExpired,
    p.PaymentVoidRequested,
    p.PaymentVoided,
    p.PaymentCaptureRequested,
    p.PaymentCaptured,
    keys=key_of_authorization,
)
def on_nothing_held(_row: Row | None, _event: Event, _key: Key) -> None:
    return None


UNBOOKING_SECONDS = 86_400
"""The time in which a carrier should say whether it cancels a booking."""

UNTIL_SEEN, UNTIL_UNBOOKED = "silence", "unbooking"


def _key_of_shipment(*what: str) -> Any:
    return lambda event: tuple((f"{name}/{event.shipment_id}",) for name in what)


@projection.on(sh.ShipmentRequested, keys=_key_of_shipment(UNTIL_SEEN))
def on_shipment_requested(_row: Row | None, event: sh.ShipmentRequested, recorded: Recorded, key: Key) -> Row:
    due_at = recorded.recorded_at + timedelta(seconds=sh.DISPATCH_SECONDS)
    return _due(key, "dispatch_overdue", due_at, event.order_id, event.shipment_id)


@projection.on(sh.ShipmentDispatched, keys=_key_of_shipment(UNTIL_SEEN, UNTIL_UNBOOKED))
def on_shipment_dispatched(_row: Row | None, event: sh.ShipmentDispatched, key: Key) -> Row | None:
    """Set the deadline for the next tracking event.

    The ticker checks when it is due whether any came: most parcels arrive long before.
    """
    if str(key[0]).startswith(f"{UNTIL_UNBOOKED}/"):
        return None
    return _until_seen(key, event, event.dispatched_at)


def _until_seen(key: Key, event: sh.ShipmentEvent, since: datetime) -> Row:
    due_at = shifted(since, timedelta(seconds=sh.SILENCE_SECONDS))
    return _due(key, "parcel_silent", due_at, event.order_id, event.shipment_id)


@projection.on(sh.ShipmentHeardOf, keys=_key_of_shipment(UNTIL_SEEN))
def on_shipment_heard_of(_row: Row | None, event: sh.ShipmentHeardOf, key: Key) -> Row:
    return _until_seen(key, event, event.seen_at)


def key_of_last_carton(event: Any) -> Iterable[Key]:
    if isinstance(event, sh.ShipmentReturnedToSender) and not event.complete:
        return ()
    return ((f"{UNTIL_SEEN}/{event.shipment_id}",),)


@projection.on(
    sh.ShipmentDelivered,
    sh.ShipmentReturnedToSender,
    sh.ShipmentFellSilent,
    sh.ShipmentLost,
    sh.ShipmentDispatchOverdue,
    sh.ShipmentCancelled,
    keys=key_of_last_carton,
)
def on_shipment_not_awaited(_row: Row | None, _event: Event, _key: Key) -> None:
    return None


@projection.on(sh.ShipmentBookingCancellationRequested, keys=_key_of_shipment(UNTIL_UNBOOKED))
def on_shipment_booking_cancellation_requested(
    _row: Row | None, event: sh.ShipmentBookingCancellationRequested, recorded: Recorded, key: Key
) -> Row:
    due_at = recorded.recorded_at + timedelta(seconds=UNBOOKING_SECONDS)
    return _due(key, "unbooking_overdue", due_at, event.order_id, event.shipment_id)


@projection.on(
    sh.ShipmentBookingCancelled,
    sh.ShipmentBookingCancellationRefused,
    sh.ShipmentCancellationUnanswered,
    keys=_key_of_shipment(UNTIL_UNBOOKED),
)
def on_booking_cancellation_answered(
    _row: Row | None,
    _event: sh.ShipmentBookingCancelled | sh.ShipmentBookingCancellationRefused | sh.ShipmentCancellationUnanswered,
    _key: Key,
) -> None:
    return None


def key_of_answer(event: Any) -> Iterable[Key]:
    return ((f"answer/{event.payment_id}/{event.operation}/{event.part}",),)


@projection.on(p.PaymentAnswerAwaited, keys=key_of_answer)
def on_payment_answer_awaited(_row: Row | None, event: p.PaymentAnswerAwaited, recorded: Recorded, key: Key) -> Row:
    due_at = recorded.recorded_at + timedelta(seconds=ANSWER_DUE_SECONDS * 2 ** (event.attempt - 1))
    what = f"{event.operation}/{len(event.payment_id)}/{event.payment_id}{event.part}"
    return _due(key, "answer_overdue", due_at, event.order_id, what)


@projection.on(p.PaymentAnswerChased, p.PaymentAnswerSettled, keys=key_of_answer)
def on_payment_answer_chased_or_payment_answer_settled(
    _row: Row | None, _event: p.PaymentAnswerChased | p.PaymentAnswerSettled, _key: Key
) -> None:
    return None


def key_of_return(event: r.RmaEvent) -> Iterable[Key]:
    return ((f"return/{event.rma_id}",),)


@projection.on(r.RmaApproved, keys=key_of_return)
def on_rma_approved(_row: Row | None, event: r.RmaApproved, recorded: Recorded, key: Key) -> Row:
    due_at = recorded.recorded_at + timedelta(days=event.return_days)
    return _due(key, "return_overdue", due_at, event.order_id, event.rma_id)


@projection.on(r.RmaClosed, r.RmaRefused, keys=key_of_return)
def on_rma_closed_or_rma_refused(_row: Row | None, _event: r.RmaClosed | r.RmaRefused, _key: Key) -> None:
    return None


def key_of_card(event: g.GiftCardIssued | g.GiftCardExtended | g.GiftCardExpired) -> Iterable[Key]:
    return ((f"gift_card/{event.account_id}",),)


@projection.on(g.GiftCardIssued, g.GiftCardExtended, keys=key_of_card)
def on_gift_card_issued_or_gift_card_extended(
    _row: Row | None, event: g.GiftCardIssued | g.GiftCardExtended, key: Key
) -> Row | None:
    if event.expires_at is None:
        return None
    return _due(key, "gift_card_expiry", event.expires_at, "", event.account_id)


@projection.on(g.GiftCardExpired, keys=key_of_card)
def on_gift_card_expired(_row: Row | None, _event: g.GiftCardExpired, _key: Key) -> None:
    return None
