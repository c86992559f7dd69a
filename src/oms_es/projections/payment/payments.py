"""Payments: one row per payment, with its state and the amounts authorised, captured, refunded and in dispute."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text

from oms_es.kernel import Event, Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas import payment as p

table = Table(
    "payments",
    METADATA,
    Column("payment_id", Text, primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("gateway", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("requested_minor", BigInteger, nullable=False),
    Column("authorized_minor", BigInteger, nullable=False),
    Column("released_minor", BigInteger, nullable=False),
    Column("captured_minor", BigInteger, nullable=False),
    Column("refunded_minor", BigInteger, nullable=False),
    Column("disputed_minor", BigInteger, nullable=False),
    Column("lost_minor", BigInteger, nullable=False),
    Column("reference", Text, nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("reason", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("action_content", Text, nullable=False),
    Column("action_expires_at", DateTime(timezone=True)),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Index("payments_by_time", "requested_at", "payment_id"),
    Index("payments_by_state", "state", "requested_at", "payment_id"),
    Index("payments_by_order", "order_id"),
    Index("payments_by_reference", "reference"),
)
"""`released_minor` was held and then voided or expired; `disputed_minor` is in dispute now. `action` is how the
customer pays, `qr_code`, `page` or `app`, while the provider waits for that; `action_content` is what they need for
it. `gateway`: the one that a route chose; empty if the payment token decides."""
projection = Projection(table, version=5, fed_by=("payment-{payment_id}",))
STATES = (
    *("requested", "declined", "failed", "authorized", "released", "partly_captured", "captured"),
    *("partly_refunded", "refunded", "disputed", "lost"),
)


def key_of_payment(event: p.PaymentEvent) -> Iterable[Key]:
    return ((event.payment_id,),)


NO_ACTION: Row = {"action": "", "action_content": "", "action_expires_at": None}


@projection.on(p.PaymentRequested, keys=key_of_payment)
def on_payment_requested(_row: Row | None, event: p.PaymentRequested, recorded: Recorded, _key: Key) -> Row:
    return {
        "payment_id": event.payment_id,
        "order_id": event.order_id,
        "method": event.method,
        "gateway": event.gateway,
        "state": "requested",
        "currency": event.currency,
        "requested_minor": event.amount_minor,
        "authorized_minor": 0,
        "released_minor": 0,
        "captured_minor": 0,
        "refunded_minor": 0,
        "disputed_minor": 0,
        "lost_minor": 0,
        "reference": "",
        "expires_at": None,
        "reason": "",
        **NO_ACTION,
        "requested_at": recorded.recorded_at,
        "changed_at": recorded.recorded_at,
    }


MOVES: dict[type[Event], dict[str, int]] = {
    p.PaymentAuthorized: {"authorized_minor": 1},
    p.PaymentReauthorized: {"authorized_minor": 1},
    p.PaymentExpired: {"released_minor": 1},
    p.PaymentVoided: {"released_minor": 1},
    p.PaymentCaptured: {"captured_minor": 1},
    p.PaymentRefunded: {"refunded_minor": 1},
    p.PaymentRefundReversed: {"refunded_minor": -1},
    p.PaymentDisputeOpened: {"disputed_minor": 1},
    p.PaymentDisputeWon: {"disputed_minor": -1},
    p.PaymentDisputeLost: {"disputed_minor": -1, "lost_minor": 1},
}
"""For each event the sums that its amount changes, with the sign."""


@projection.on(*MOVES, keys=key_of_payment)
def on_money_moved(row: Row | None, event: Any, recorded: Recorded, _key: Key) -> Row | None:
    if row is None:
        return None
    moved = {column: row[column] + sign * event.amount_minor for column, sign in MOVES[type(event)].items()}
    changed: dict[str, Any] = {"changed_at": recorded.recorded_at, **moved}
    if isinstance(event, p.PaymentAuthorized):
        changed |= {"reference": event.reference, "expires_at": event.expires_at, **NO_ACTION}
    elif isinstance(event, p.PaymentExpired):
        changed["expires_at"] = None
    now = {**row, **changed}
    return {**now, "state": state_of(now)}


def state_of(row: Row) -> str:
    """Return the state that matters most of a payment that was authorised once."""
    captured = row["captured_minor"]
    if row["disputed_minor"]:
        return "disputed"
    if row["lost_minor"] and row["lost_minor"] + row["refunded_minor"] >= captured:
        return "lost"
    if row["refunded_minor"]:
        return "refunded" if row["refunded_minor"] + row["lost_minor"] >= captured else "partly_refunded"
    if captured:
        return "captured" if captured + row["released_minor"] >= row["authorized_minor"] else "partly_captured"
    return "released" if row["released_minor"] >= row["authorized_minor"] else "authorized"


@projection.on(p.PaymentExpirySet, keys=key_of_payment)
def on_payment_expiry_set(row: Row | None, event: p.PaymentExpirySet, recorded: Recorded, _key: Key) -> Row | None:
    return row and {**row, "expires_at": event.expires_at, "changed_at": recorded.recorded_at}


@projection.on(p.PaymentAttemptDeclined, keys=key_of_payment)
def on_payment_attempt_declined(
    row: Row | None, event: p.PaymentAttemptDeclined, recorded: Recorded, _key: Key
) -> Row | None:
    return row and {**row, "reason": event.reason, "changed_at": recorded.recorded_at}


@projection.on(p.PaymentDeclined, p.PaymentFailed, keys=key_of_payment)
def on_payment_declined_or_payment_failed(row: Row | None, event: Any, recorded: Recorded, _key: Key) -> Row | None:
    state = "declined" if isinstance(event, p.PaymentDeclined) else "failed"
    return row and {**row, "state": state, "reason": event.reason, "changed_at": recorded.recorded_at, **NO_ACTION}


@projection.on(p.PaymentActionRequired, keys=key_of_payment)
def on_payment_action_required(
    row: Row | None, event: p.PaymentActionRequired, recorded: Recorded, _key: Key
) -> Row | None:
    action = {
        "action": event.kind,
        "action_content": event.content,
        "action_expires_at": event.expires_at,
        "changed_at": recorded.recorded_at,
    }
    return row and {**row, **action}


@projection.on(p.PaymentCloseRequested, keys=key_of_payment)
def on_payment_close_requested(
    row: Row | None, _event: p.PaymentCloseRequested, recorded: Recorded, _key: Key
) -> Row | None:
    return row and {**row, **NO_ACTION, "changed_at": recorded.recorded_at}
