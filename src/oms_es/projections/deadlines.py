"""Deadlines: what is due when, for the ticker. A row that is there is still open.

`kind` says what is due (consumers/deadline_keeper.py knows the command), `subject` what of: a reservation, a payment.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from sqlalchemy import Column, DateTime, Index, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas import payment as p
from oms_es.schemas import stock as s
from oms_es.schemas.order import OrderAllocated, OrderCancelled, OrderReleased

PAYMENT_DUE_SECONDS = 1_800

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
    Index("deadlines_by_time", "due_at"),
)
projection = Projection(table)


def of_the_payment(recorded: Recorded) -> Iterable[Key]:
    return ((f"payment/{recorded.event.order_id}",),)  # type: ignore[attr-defined] # only order events come here


def of_the_reservation(recorded: Recorded) -> Iterable[Key]:
    event = recorded.event
    assert isinstance(event, s.ReservationEvent)
    if isinstance(event, s.StockReserved) and event.expires_at is None:
        return ()
    if event.reservation_id.startswith(f"{event.order_id}/"):
        return ()  # an order's lock has no end of its own: the order lets go of it
    return ((f"{event.sku}@{event.location}/{event.reservation_id}",),)


@projection.on(OrderAllocated, keys=of_the_payment)
def payment_is_due(_: Row | None, recorded: Recorded, key: Key) -> Row:
    event = recorded.event
    assert isinstance(event, OrderAllocated)
    return {
        "deadline_id": key[0],
        "kind": "payment_overdue",
        "due_at": recorded.recorded_at + timedelta(seconds=PAYMENT_DUE_SECONDS),
        "order_id": event.order_id,
        "subject": "",
        "sku": "",
        "location": "",
    }


@projection.on(s.StockReserved, keys=of_the_reservation)
def reservation_expires(_: Row | None, recorded: Recorded, key: Key) -> Row:
    event = recorded.event
    assert isinstance(event, s.StockReserved)
    return {
        "deadline_id": key[0],
        "kind": "reservation_expiry",
        "due_at": event.expires_at,
        "order_id": event.order_id,
        "subject": event.reservation_id,
        "sku": event.sku,
        "location": event.location,
    }


@projection.on(OrderReleased, OrderCancelled, keys=of_the_payment)
def settled(_: Row | None, __: Recorded, ___: Key) -> None:
    return None


@projection.on(
    s.StockReleased,
    s.StockReservationExpired,
    s.StockReservationBroken,
    s.StockShipped,
    keys=of_the_reservation,
)
def ended(_: Row | None, __: Recorded, ___: Key) -> None:
    return None


def of_the_authorization(recorded: Recorded) -> Iterable[Key]:
    """Most providers say until when; a capture that leaves something held changes nothing."""
    event: Any = recorded.event
    if isinstance(event, p.PaymentAuthorized) and event.expires_at is None:
        return ()
    if isinstance(event, p.PaymentCaptureRequested) and not event.final:
        return ()
    return ((f"authorization/{event.payment_id}",),)


@projection.on(p.PaymentAuthorized, p.PaymentExpirySet, keys=of_the_authorization)
def authorization_expires(_: Row | None, recorded: Recorded, key: Key) -> Row:
    event: Any = recorded.event
    return {
        "deadline_id": key[0],
        "kind": "authorization_expiry",
        "due_at": event.expires_at,
        "order_id": event.order_id,
        "subject": event.payment_id,
        "sku": "",
        "location": "",
    }


@projection.on(p.PaymentExpired, p.PaymentVoidRequested, p.PaymentCaptureRequested, keys=of_the_authorization)
def nothing_is_held(_: Row | None, __: Recorded, ___: Key) -> None:
    return None
