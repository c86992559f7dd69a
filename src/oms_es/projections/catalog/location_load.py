"""Location load: how many orders each location was given on the newest day (UTC) on which it was given any.

An order that is sourced at a location in several attempts counts each time, and one that is cancelled stays counted:
the number is never too low. A location without a row was never given an order.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

from sqlalchemy import BigInteger, Boolean, Column, Date, Index, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.order import OrderSourced

table = Table(
    "location_load",
    METADATA,
    Column("location", Text, primary_key=True),
    Column("day", Date, nullable=False),
    Column("orders", BigInteger, nullable=False),
    Column("counted", Boolean, nullable=False),  # always true: queries for all rows use its index
    Index("location_load_by_counted", "counted"),
)
projection = Projection(table, shared=True)


def key_of_locations(event: OrderSourced) -> Iterable[Key]:
    return tuple({(assigned.location,): None for assigned in event.assignments})


@projection.on(OrderSourced, keys=key_of_locations)
def on_order_sourced(row: Row | None, _event: OrderSourced, recorded: Recorded, key: Key) -> Row:
    """Count the order, so that the order of streams does not matter: all orders of the newest day count, others do
    not.
    """
    day = recorded.recorded_at.astimezone(UTC).date()
    if row and row["day"] > day:
        return row
    return {
        "location": key[0],
        "day": day,
        "orders": row["orders"] + 1 if row and row["day"] == day else 1,
        "counted": True,
    }
