"""Refunds: one row per part of a refund that one payment bears, with what was requested and why, and what was
refunded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas import payment as p

KINDS = ("line", "shipping", "goodwill", "credit")
table = Table(
    "refunds",
    METADATA,
    Column("payment_id", Text, primary_key=True),
    Column("refund_id", Text, primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested_minor", BigInteger, nullable=False),
    Column("refunded_minor", BigInteger, nullable=False),
    *(Column(f"{kind}_minor", BigInteger, nullable=False) for kind in KINDS),
    Column("requested_at", DateTime(timezone=True)),
    Column("refunded_at", DateTime(timezone=True)),
    Index("refunds_by_order", "order_id"),
)
"""The requested amount is for lines, shipping, goodwill or an exchange's credit. Without `requested_at` the refund was
made at the provider, unasked."""
projection = Projection(table, fed_by=("payment-{payment_id}",))
STATUSES = ("requested", "refused", "failed", "refunded", "reversed")
Ended = p.PaymentRefundRefused | p.PaymentRefundFailed | p.PaymentRefunded | p.PaymentRefundReversed


def key_of_refund(event: p.PaymentRefundRequested | Ended) -> Iterable[Key]:
    return ((event.payment_id, event.refund_id),)


@projection.on(p.PaymentRefundRequested, keys=key_of_refund)
def on_payment_refund_requested(row: Row | None, event: p.PaymentRefundRequested, recorded: Recorded, _key: Key) -> Row:
    kinds = {f"{k}_minor": sum(a.amount_minor for a in event.allocations if a.kind == k) for k in KINDS}
    return {
        **(row or _nothing(event, event.currency)),
        **kinds,
        "reason": event.reason,
        "status": "requested",
        "requested_minor": event.amount_minor,
        "requested_at": recorded.recorded_at,
    }


@projection.on(
    p.PaymentRefundRefused, p.PaymentRefundFailed, p.PaymentRefunded, p.PaymentRefundReversed, keys=key_of_refund
)
def on_refund_ended(row: Row | None, event: Ended, recorded: Recorded, _key: Key) -> Row:
    """Record how a refund ended. A refund at the provider that was not requested here begins with this event."""
    changed: dict[str, Any] = dict(row or _nothing(event, event.currency))
    match event:
        case p.PaymentRefunded(amount_minor=amount):
            changed |= {"status": "refunded", "refunded_minor": changed["refunded_minor"] + amount}
            changed["refunded_at"] = recorded.recorded_at
        case p.PaymentRefundReversed(amount_minor=amount):
            changed |= {"status": "reversed", "refunded_minor": changed["refunded_minor"] - amount}
        case p.PaymentRefundRefused(reason=reason):
            changed |= {"status": "refused", "reason": reason}
        case p.PaymentRefundFailed(reason=reason):
            changed |= {"status": "failed", "reason": reason}
    return changed


def _nothing(event: p.PaymentRefundRequested | Ended, currency: str) -> Row:
    return {
        "payment_id": event.payment_id,
        "refund_id": event.refund_id,
        "order_id": event.order_id,
        "currency": currency,
        "status": "",
        "reason": "",
        "requested_minor": 0,
        "refunded_minor": 0,
        **{f"{kind}_minor": 0 for kind in KINDS},
        "requested_at": None,
        "refunded_at": None,
    }
