"""Deadlines: what is due when, for the ticker. A row that is there is still open.

`kind` says what is due (the deadline_keeper knows the command), `subject` what of: a reservation, a payment, a
lot. A lot's row counts its sellable `units` in one bin, and goes with the last of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas import shipment as sh
from oms_es.schemas import stock as s
from oms_es.schemas.returns import rma as r
from oms_es.schemas.values.types import shifted

HOLD_KINDS = get_args(o.HoldKind)
PAYMENT_DUE_SECONDS = 1_800
PAYMENT_RETRY_SECONDS = 300
"""Before the second attempt; each further one waits twice as long."""
ANSWER_DUE_SECONDS = 600
"""For a provider's callback, before it is asked; each further time it has twice as long."""
PAYMENT_HOLD_SECONDS = 3 * 86_400
"""For a person to find another way to pay, before the order lapses."""

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
projection = Projection(table, version=2)
UNTIL_PAID, UNTIL_AVAILABLE, UNTIL_RETRIED = "payment", "presale", "retry"


def _of_the_order(*what: str) -> Any:
    return lambda recorded: tuple((f"{name}/{recorded.event.order_id}",) for name in what)


def of_the_payment(recorded: Recorded) -> Iterable[Key]:
    """An order that costs nothing has nothing to wait for."""
    event = recorded.event
    if isinstance(event, o.OrderAllocated) and not event.amount_minor:
        return ()
    return _of_the_order(UNTIL_PAID)(recorded)  # type: ignore[no-any-return] # it makes keys of any event


def of_the_deferred(recorded: Recorded) -> Iterable[Key]:
    event = recorded.event
    assert isinstance(event, o.OrderPaymentDeferred)
    if not event.again:
        return ()
    return (f"{UNTIL_PAID}/{event.order_id}",), (f"{UNTIL_RETRIED}/{event.payment_id}",)


def of_the_repeated(recorded: Recorded) -> Iterable[Key]:
    event = recorded.event
    assert isinstance(event, o.OrderPaymentRequested)
    return (f"{UNTIL_PAID}/{event.order_id}",), (f"{UNTIL_RETRIED}/{event.replaces}",)


def of_the_secured(recorded: Recorded) -> Iterable[Key]:
    """One that was to be asked for again has come after all."""
    event = recorded.event
    assert isinstance(event, o.OrderPaymentSecured)
    retry = ((f"{UNTIL_RETRIED}/{event.payment_id}",),)
    return retry if event.open_minor else (*_of_the_order(UNTIL_PAID)(recorded), *retry)


def of_the_undone(recorded: Recorded) -> Iterable[Key]:
    """Money of another amount than is due now: what is due is told anew. What is released by hand, or is part of
    another order, is held no more."""
    event: Any = recorded.event
    over = (
        isinstance(event, o.OrderMergedInto)
        or (isinstance(event, o.OrderOverridden) and event.to == "released")
        or (isinstance(event, o.OrderFulfilledElsewhere) and event.whole)
    )
    holds = _holds(event.order_id) if over else ()
    if not event.payments_cancelled:
        return holds
    retries = ((f"{UNTIL_RETRIED}/{payment_id}",) for payment_id in event.payments_cancelled)
    return (*_of_the_order(UNTIL_PAID)(recorded), *retries, *holds)


UNTIL_DECIDED = "hold"


def _holds(order_id: str) -> tuple[Key, ...]:
    return tuple((f"{UNTIL_DECIDED}/{order_id}/{kind}",) for kind in HOLD_KINDS)


def of_the_hold(recorded: Recorded) -> Iterable[Key]:
    """One that lapses with its payment, or has an end."""
    event: Any = recorded.event
    if event.kind == "payment":
        return _of_the_order(UNTIL_PAID)(recorded) if isinstance(event, o.OrderHeld) else ()
    if isinstance(event, o.OrderHeld) and event.until is None:
        return ()
    return ((f"{UNTIL_DECIDED}/{event.order_id}/{event.kind}",),)


def of_the_ended(recorded: Recorded) -> Iterable[Key]:
    event = recorded.event
    assert isinstance(event, o.OrderCancelled)
    payments = event.payment_ids or ((event.payment_id,) if event.payment_id else ())
    retries = ((f"{UNTIL_RETRIED}/{payment_id}",) for payment_id in payments)
    return (*_of_the_order(UNTIL_PAID, UNTIL_AVAILABLE)(recorded), *retries, *_holds(event.order_id))


def of_the_reservation(recorded: Recorded) -> Iterable[Key]:
    event = recorded.event
    assert isinstance(event, s.ReservationEvent)
    if isinstance(event, s.StockReserved) and event.expires_at is None:
        return ()
    if event.reservation_id.startswith(f"{event.order_id}/"):
        return ()  # an order's lock has no end of its own: the order lets go of it
    return ((f"{event.sku}@{event.location}/{event.reservation_id}",),)


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


@projection.on(o.OrderAllocated, keys=of_the_payment)
def payment_is_due(_: Row | None, recorded: Recorded, key: Key) -> Row:
    event = recorded.event
    assert isinstance(event, o.OrderAllocated)
    newest = event.payments[-1].payment_id if event.payments else event.payment_id
    return _until_paid(recorded, key, PAYMENT_DUE_SECONDS, newest)


@projection.on(o.OrderBalanceDue, keys=_of_the_order(UNTIL_PAID, UNTIL_AVAILABLE))
def balance_is_due(_: Row | None, recorded: Recorded, key: Key) -> Row | None:
    event = recorded.event
    assert isinstance(event, o.OrderBalanceDue)
    if str(key[0]).startswith(f"{UNTIL_AVAILABLE}/"):
        return None
    return _until_paid(recorded, key, event.due_seconds, event.payments[-1].payment_id)


@projection.on(o.OrderPaymentDeferred, keys=of_the_deferred)
def comes_another_time(row: Row | None, recorded: Recorded, key: Key) -> Row | None:
    event = recorded.event
    assert isinstance(event, o.OrderPaymentDeferred)
    pause = PAYMENT_RETRY_SECONDS * 2 ** (event.attempt - 1)
    if str(key[0]).startswith(f"{UNTIL_RETRIED}/"):
        again_at = recorded.recorded_at + timedelta(seconds=pause)
        return _due(key, "payment_retry", again_at, event.order_id, event.payment_id)
    until = recorded.recorded_at + timedelta(seconds=pause + PAYMENT_DUE_SECONDS)
    return row and {**row, "due_at": max(row["due_at"], until)}


@projection.on(o.OrderPaymentRequested, keys=of_the_repeated)
def is_asked_for_again(row: Row | None, recorded: Recorded, key: Key) -> Row | None:
    event = recorded.event
    assert isinstance(event, o.OrderPaymentRequested)
    if str(key[0]).startswith(f"{UNTIL_RETRIED}/"):
        return None
    until = _until_paid(recorded, key, PAYMENT_DUE_SECONDS, event.payment_id)
    return {**until, "due_at": max(row["due_at"], until["due_at"])} if row else until


@projection.on(o.OrderHeld, keys=of_the_hold)
def waits_for_a_person(row: Row | None, recorded: Recorded, key: Key) -> Row | None:
    event = recorded.event
    assert isinstance(event, o.OrderHeld)
    if event.until:
        return _due(key, "hold_overdue", event.until, event.order_id, event.kind)
    until = recorded.recorded_at + timedelta(seconds=PAYMENT_HOLD_SECONDS)
    return row and {**row, "due_at": max(row["due_at"], until)}


@projection.on(o.OrderPresold, keys=_of_the_order(UNTIL_AVAILABLE))
def goods_are_due(_: Row | None, recorded: Recorded, key: Key) -> Row | None:
    event = recorded.event
    assert isinstance(event, o.OrderPresold)
    if event.available_by is None:
        return None
    return _due(key, "presale_overdue", event.available_by, event.order_id, "")


@projection.on(o.OrderPaymentSecured, keys=of_the_secured)
@projection.on(
    o.OrderAmended,
    o.OrderFulfilledElsewhere,
    o.OrderLinesCancelled,
    o.OrderSplit,
    o.OrderMergedInto,
    o.OrderOverridden,
    keys=of_the_undone,
)
@projection.on(o.OrderHoldReleased, o.OrderHoldOverdue, keys=of_the_hold)
@projection.on(o.OrderReleased, keys=_of_the_order(UNTIL_PAID, UNTIL_AVAILABLE))
@projection.on(o.OrderCancelled, keys=of_the_ended)
def settled(_: Row | None, __: Recorded, ___: Key) -> None:
    return None


@projection.on(s.StockReserved, keys=of_the_reservation)
def reservation_expires(_: Row | None, recorded: Recorded, key: Key) -> Row:
    event = recorded.event
    assert isinstance(event, s.StockReserved)
    return {
        **_due(key, "reservation_expiry", event.expires_at, event.order_id, event.reservation_id),
        "sku": event.sku,
        "location": event.location,
    }


@projection.on(
    s.StockReleased,
    s.StockReservationExpired,
    s.StockReservationBroken,
    keys=of_the_reservation,
)
def ended(_: Row | None, __: Recorded, ___: Key) -> None:
    return None


LOT = "lot/"
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""When a lot is over of which nobody has said when."""


def lot_of(event: s.StockEvent, bin_name: str, lot: str) -> Key:
    """The length tells where a bin's name ends: names may have any character."""
    return (f"{LOT}{event.sku}@{event.location}/{len(bin_name)}/{bin_name}/{lot}",)


def of_the_lot(recorded: Recorded) -> Iterable[Key]:
    """Only what is sellable leaves when its lot is over, and only what has a lot."""
    event = recorded.event
    assert isinstance(event, s.PlacedEvent)
    if not event.lot:
        return ()
    was = event.was if isinstance(event, s.StockConditionChanged) else event.condition
    if "sellable" not in (was, event.condition):
        return ()
    here = lot_of(event, event.bin, event.lot)
    return (here, lot_of(event, event.to_bin, event.lot)) if isinstance(event, s.StockMovedToBin) else (here,)


def of_the_shipped(recorded: Recorded) -> Iterable[Key]:
    event = recorded.event
    assert isinstance(event, s.StockShipped)
    return (*of_the_reservation(recorded), *(lot_of(event, pick.bin, pick.lot) for pick in event.picks if pick.lot))


@projection.on(s.StockShipped, keys=of_the_shipped)
def left(row: Row | None, recorded: Recorded, key: Key) -> Row | None:
    event = recorded.event
    assert isinstance(event, s.StockShipped)
    if not str(key[0]).startswith(LOT):
        return None
    units = sum(pick.quantity for pick in event.picks if lot_of(event, pick.bin, pick.lot) == key)
    return row and _counted(row, -units, None)


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
    keys=of_the_lot,
)
def lot_changes(row: Row | None, recorded: Recorded, key: Key) -> Row | None:
    event: Any = recorded.event
    row = row or {
        **_due(key, "lot_expiry", NEVER, "", event.lot),
        "sku": event.sku,
        "location": event.location,
    }
    return _counted(row, _change(event, key), getattr(event, "lot_expires_at", None))


def _change(event: Any, key: Key) -> int:
    """How many more sellable units the lot has here."""
    n: int = event.quantity
    match event:
        case s.StockMovedOut() | s.StockWrittenOff():
            return -n
        case s.StockCounted():
            return event.variance
        case s.StockMovedToBin():
            return -n if key == lot_of(event, event.bin, event.lot) else n
        case s.StockConditionChanged():
            return n * (event.condition == "sellable") - n * (event.was == "sellable")
    return n


def _counted(row: Row, change: int, expires_at: datetime | None) -> Row | None:
    units = row["units"] + change
    due_at = s.lot_over_at(expires_at) if expires_at else row["due_at"]
    return {**row, "units": units, "due_at": due_at} if units else None


def of_the_authorization(recorded: Recorded) -> Iterable[Key]:
    """Most providers say until when; a capture that leaves something held changes nothing."""
    event: Any = recorded.event
    if isinstance(event, p.PaymentAuthorized) and event.expires_at is None:
        return ()
    if isinstance(event, p.PaymentCaptured | p.PaymentVoided) and event.asked:
        return ()
    if isinstance(event, p.PaymentCaptureRequested) and not event.final:
        return ()
    return ((f"authorization/{event.payment_id}",),)


@projection.on(p.PaymentAuthorized, p.PaymentExpirySet, keys=of_the_authorization)
def authorization_expires(_: Row | None, recorded: Recorded, key: Key) -> Row:
    event: Any = recorded.event
    return _due(key, "authorization_expiry", event.expires_at, event.order_id, event.payment_id)


@projection.on(
    p.PaymentExpired,
    p.PaymentVoidRequested,
    p.PaymentVoided,
    p.PaymentCaptureRequested,
    p.PaymentCaptured,
    keys=of_the_authorization,
)
def nothing_is_held(_: Row | None, __: Recorded, ___: Key) -> None:
    return None


UNBOOKING_SECONDS = 86_400
"""For a carrier to say whether it cancels a booking."""
UNTIL_SEEN, UNTIL_UNBOOKED = "silence", "unbooking"


def _of_the_parcel(*what: str) -> Any:
    return lambda recorded: tuple((f"{name}/{recorded.event.shipment_id}",) for name in what)


@projection.on(sh.ShipmentRequested, keys=_of_the_parcel(UNTIL_SEEN))
def should_leave(_: Row | None, recorded: Recorded, key: Key) -> Row:
    event = recorded.event
    assert isinstance(event, sh.ShipmentRequested)
    due_at = recorded.recorded_at + timedelta(seconds=sh.DISPATCH_SECONDS)
    return _due(key, "dispatch_overdue", due_at, event.order_id, event.shipment_id)


@projection.on(sh.ShipmentDispatched, keys=_of_the_parcel(UNTIL_SEEN, UNTIL_UNBOOKED))
def should_be_seen(_: Row | None, recorded: Recorded, key: Key) -> Row | None:
    """Whether it was seen is asked when the time is over: most arrive long before."""
    event = recorded.event
    assert isinstance(event, sh.ShipmentDispatched)
    if str(key[0]).startswith(f"{UNTIL_UNBOOKED}/"):
        return None
    return _until_seen(key, event, event.dispatched_at)


def _until_seen(key: Key, event: sh.ShipmentEvent, since: datetime) -> Row:
    due_at = shifted(since, timedelta(seconds=sh.SILENCE_SECONDS))
    return _due(key, "parcel_silent", due_at, event.order_id, event.shipment_id)


@projection.on(sh.ShipmentHeardOf, keys=_of_the_parcel(UNTIL_SEEN))
def was_seen(_: Row | None, recorded: Recorded, key: Key) -> Row:
    event = recorded.event
    assert isinstance(event, sh.ShipmentHeardOf)
    return _until_seen(key, event, event.seen_at)


def of_the_last_carton(recorded: Recorded) -> Iterable[Key]:
    event: Any = recorded.event
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
    keys=of_the_last_carton,
)
def is_not_waited_for(_: Row | None, __: Recorded, ___: Key) -> None:
    return None


@projection.on(sh.ShipmentBookingCancellationRequested, keys=_of_the_parcel(UNTIL_UNBOOKED))
def carrier_should_answer(_: Row | None, recorded: Recorded, key: Key) -> Row:
    event = recorded.event
    assert isinstance(event, sh.ShipmentBookingCancellationRequested)
    due_at = recorded.recorded_at + timedelta(seconds=UNBOOKING_SECONDS)
    return _due(key, "unbooking_overdue", due_at, event.order_id, event.shipment_id)


@projection.on(
    sh.ShipmentBookingCancelled,
    sh.ShipmentBookingCancellationRefused,
    sh.ShipmentCancellationUnanswered,
    keys=_of_the_parcel(UNTIL_UNBOOKED),
)
def carrier_answered(_: Row | None, __: Recorded, ___: Key) -> None:
    return None


def of_the_answer(recorded: Recorded) -> Iterable[Key]:
    event: Any = recorded.event
    return ((f"answer/{event.payment_id}/{event.operation}/{event.part}",),)


@projection.on(p.PaymentAnswerAwaited, keys=of_the_answer)
def callback_should_come(_: Row | None, recorded: Recorded, key: Key) -> Row:
    event = recorded.event
    assert isinstance(event, p.PaymentAnswerAwaited)
    due_at = recorded.recorded_at + timedelta(seconds=ANSWER_DUE_SECONDS * 2 ** (event.attempt - 1))
    what = f"{event.operation}/{len(event.payment_id)}/{event.payment_id}{event.part}"
    return _due(key, "answer_overdue", due_at, event.order_id, what)


@projection.on(p.PaymentAnswerChased, p.PaymentAnswerSettled, keys=of_the_answer)
def is_asked_for_or_came(_: Row | None, __: Recorded, ___: Key) -> None:
    return None


def of_the_return(recorded: Recorded) -> Iterable[Key]:
    event = recorded.event
    assert isinstance(event, r.RmaEvent)
    return ((f"return/{event.rma_id}",),)


@projection.on(r.RmaApproved, keys=of_the_return)
def goods_should_come_back(_: Row | None, recorded: Recorded, key: Key) -> Row:
    event = recorded.event
    assert isinstance(event, r.RmaApproved)
    due_at = recorded.recorded_at + timedelta(days=event.return_days)
    return _due(key, "return_overdue", due_at, event.order_id, event.rma_id)


@projection.on(r.RmaClosed, r.RmaRefused, keys=of_the_return)
def nothing_comes_back(_: Row | None, __: Recorded, ___: Key) -> None:
    return None
