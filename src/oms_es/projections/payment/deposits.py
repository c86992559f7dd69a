"""Deposits: one row per deposit, a payment that is captured before anything is delivered for it.

Every minor unit of a captured deposit is held, applied to a delivery, refunded, or lost in a dispute.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text

from oms_es.kernel import Event, Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas import payment as p

table = Table(
    "deposits",
    METADATA,
    Column("payment_id", Text, primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("agreed_minor", BigInteger, nullable=False),
    Column("held_minor", BigInteger, nullable=False),
    Column("applied_minor", BigInteger, nullable=False),
    Column("released_minor", BigInteger, nullable=False),
    Column("lost_minor", BigInteger, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Index("deposits_by_order", "order_id"),
)
projection = Projection(table, version=2, fed_by=("payment-{payment_id}",))
SINKS: dict[type[Event], str] = {p.PaymentRefunded: "released_minor", p.PaymentDisputeLost: "lost_minor"}


def key_of_deposit(event: Any) -> Iterable[Key]:
    """Return the deposit's key; none if the event shows that the payment is no deposit, so that no row is looked up."""
    match event:
        case p.PaymentRequested(capture_now=False):
            return ()
        case p.PaymentCaptured(capture_id=key) if key != event.payment_id:
            return ()
    return ((event.payment_id,),)


@projection.on(p.PaymentRequested, keys=key_of_deposit)
def on_payment_requested(_row: Row | None, event: p.PaymentRequested, recorded: Recorded, _key: Key) -> Row:
    return {
        "payment_id": event.payment_id,
        "order_id": event.order_id,
        "currency": event.currency,
        "agreed_minor": event.amount_minor,
        "held_minor": 0,
        "applied_minor": 0,
        "released_minor": 0,
        "lost_minor": 0,
        "changed_at": recorded.recorded_at,
    }


@projection.on(p.PaymentCaptured, keys=key_of_deposit)
def on_payment_captured(row: Row | None, event: p.PaymentCaptured, recorded: Recorded, _key: Key) -> Row | None:
    return row and {
        **row,
        "held_minor": row["held_minor"] + event.amount_minor,
        "changed_at": recorded.recorded_at,
    }


@projection.on(p.PaymentDepositApplied, keys=key_of_deposit)
def on_payment_deposit_applied(
    row: Row | None, event: p.PaymentDepositApplied, recorded: Recorded, _key: Key
) -> Row | None:
    return row and {
        **row,
        "held_minor": row["held_minor"] - event.amount_minor,
        "applied_minor": row["applied_minor"] + event.amount_minor,
        "changed_at": recorded.recorded_at,
    }


@projection.on(p.PaymentRefundReversed, keys=key_of_deposit)
def on_payment_refund_reversed(
    row: Row | None, event: p.PaymentRefundReversed, recorded: Recorded, _key: Key
) -> Row | None:
    return row and {
        **row,
        "held_minor": row["held_minor"] + event.amount_minor,
        "released_minor": row["released_minor"] - event.amount_minor,
        "changed_at": recorded.recorded_at,
    }


@projection.on(*SINKS, keys=key_of_deposit)
def on_deposit_used(row: Row | None, event: Any, recorded: Recorded, _key: Key) -> Row | None:
    """Take the amount from what is held, and if that does not suffice, from what was applied."""
    if row is None:
        return None
    of_the_held = min(max(row["held_minor"], 0), event.amount_minor)
    sink = SINKS[type(event)]
    return {
        **row,
        "held_minor": row["held_minor"] - of_the_held,
        "applied_minor": row["applied_minor"] - (event.amount_minor - of_the_held),
        sink: row[sink] + event.amount_minor,
        "changed_at": recorded.recorded_at,
    }
