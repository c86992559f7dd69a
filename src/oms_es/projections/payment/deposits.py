"""Deposits: one row per deposit, a payment that is taken before anything is delivered for it.

Every unit of a deposit that was taken is held, applied to what was delivered, given back, or lost in a dispute.
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
projection = Projection(table, version=2)
SINKS: dict[type[Event], str] = {p.PaymentRefunded: "released_minor", p.PaymentDisputeLost: "lost_minor"}


def of_the_deposit(recorded: Recorded) -> Iterable[Key]:
    """Of a payment that is no deposit there is no row, and most need not be looked for."""
    event: Any = recorded.event
    match event:
        case p.PaymentRequested(capture_now=False):
            return ()
        case p.PaymentCaptured(capture_id=key) if key != event.payment_id:
            return ()
    return ((event.payment_id,),)


@projection.on(p.PaymentRequested, keys=of_the_deposit)
def agreed(_: Row | None, recorded: Recorded, __: Key) -> Row:
    event = recorded.event
    assert isinstance(event, p.PaymentRequested)
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


@projection.on(p.PaymentCaptured, keys=of_the_deposit)
def held(row: Row | None, recorded: Recorded, _: Key) -> Row | None:
    event = recorded.event
    assert isinstance(event, p.PaymentCaptured)
    return row and {
        **row,
        "held_minor": row["held_minor"] + event.amount_minor,
        "changed_at": recorded.recorded_at,
    }


@projection.on(p.PaymentDepositApplied, keys=of_the_deposit)
def applied(row: Row | None, recorded: Recorded, _: Key) -> Row | None:
    event = recorded.event
    assert isinstance(event, p.PaymentDepositApplied)
    return row and {
        **row,
        "held_minor": row["held_minor"] - event.amount_minor,
        "applied_minor": row["applied_minor"] + event.amount_minor,
        "changed_at": recorded.recorded_at,
    }


@projection.on(p.PaymentRefundReversed, keys=of_the_deposit)
def came_back(row: Row | None, recorded: Recorded, _: Key) -> Row | None:
    event = recorded.event
    assert isinstance(event, p.PaymentRefundReversed)
    return row and {
        **row,
        "held_minor": row["held_minor"] + event.amount_minor,
        "released_minor": row["released_minor"] - event.amount_minor,
        "changed_at": recorded.recorded_at,
    }


@projection.on(*SINKS, keys=of_the_deposit)
def gone(row: Row | None, recorded: Recorded, _: Key) -> Row | None:
    """First what is held; where that does not suffice, what had been applied."""
    if row is None:
        return None
    event: Any = recorded.event
    of_the_held = min(max(row["held_minor"], 0), event.amount_minor)
    sink = SINKS[type(event)]
    return {
        **row,
        "held_minor": row["held_minor"] - of_the_held,
        "applied_minor": row["applied_minor"] - (event.amount_minor - of_the_held),
        sink: row[sink] + event.amount_minor,
        "changed_at": recorded.recorded_at,
    }
