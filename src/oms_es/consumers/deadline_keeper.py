"""Deadline keeper: what is due is let go.

Reads    rows of `deadlines` whose time has come
Emits    LapseOrder, ExpireReservation
Decides  nothing; the order knows whether it was paid meanwhile, the stock whether it was shipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from oms_es.kernel import Command, Row
from oms_es.schemas.order import LapseOrder
from oms_es.schemas.stock import ExpireReservation


def due_commands(rows: Iterable[Row], now: datetime) -> Iterator[Command]:
    for row in rows:
        if row["kind"] == "payment_overdue":
            yield LapseOrder(order_id=row["order_id"])
        else:
            yield ExpireReservation(
                sku=row["sku"],
                location=row["location"],
                reservation_id=row["reservation_id"],
                order_id=row["order_id"],
                now=now,
            )
