"""Money movements: one row per capture, refund and dispute, and per end of a dispute, as provider statements list
them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.finance.account import account_in
from oms_es.schemas.payment.movements import MOVEMENTS, movement_of

table = Table(
    "money_movements",
    METADATA,
    Column("position", BigInteger, primary_key=True),
    Column("movement", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("payment_id", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("references", JSONB, nullable=False),
    Column("day", Text, nullable=False),
    Column("happened_at", DateTime(timezone=True), nullable=False),
    Index("money_movements_by_day", "currency", "day", "position"),
)
"""`amount_minor` is positive if money came in. The first of `references` is the provider's own."""
projection = Projection(table, insert_only=True)
PARTS = ("capture_id", "refund_id", "dispute_id")


def key_of_movement(event: Any, recorded: Recorded) -> Iterable[Key]:
    """Return the key of a movement; none for movements on customers' accounts, which are on no provider's statement."""
    return () if account_in(getattr(event, "reference", "")) else ((recorded.position,),)


@projection.on(*MOVEMENTS, keys=key_of_movement)
def on_money_moved(_row: Row | None, event: Any, recorded: Recorded, _key: Key) -> Row:
    kind, sign = MOVEMENTS[type(event)]
    reference = getattr(event, "reference", "")
    parts = [getattr(event, name) for name in PARTS if hasattr(event, name)]
    named = (reference, reference.partition("/")[0], *parts, event.payment_id)
    return {
        "position": recorded.position,
        "movement": movement_of(type(event), recorded.position),
        "kind": kind,
        "payment_id": event.payment_id,
        "order_id": event.order_id,
        "currency": event.currency,
        "amount_minor": sign * event.amount_minor,
        "references": [one for one in dict.fromkeys(named) if one],
        "day": recorded.recorded_at.astimezone(UTC).date().isoformat(),
        "happened_at": recorded.recorded_at,
    }
