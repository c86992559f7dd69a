"""Order locations: where each order that is not released yet may have units reserved.

A row may remain too long, which costs a lookup in vain: after a release line by line it stays until the order is
released or ends.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Column, Index, Table, Text

from oms_es.kernel import Event, Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.order import (
    OrderCancelled,
    OrderFulfilledElsewhere,
    OrderJoined,
    OrderLocationFailed,
    OrderMergedInto,
    OrderReleased,
    OrderSourced,
)

table = Table(
    "order_locations",
    METADATA,
    Column("order_id", Text, primary_key=True),
    Column("location", Text, primary_key=True),
    Index("order_locations_by_location", "location", "order_id"),
)
projection = Projection(table, fed_by=("order-{order_id}",))


def key_of_locations(event: Event) -> Iterable[Key]:
    match event:
        case OrderSourced(order_id=order_id, assignments=of_it):
            locations = [assigned.location for assigned in of_it]
        case OrderReleased(order_id=order_id, shipments=plans):
            locations = [plan.location for plan in plans]
        case OrderFulfilledElsewhere(order_id=order_id, released=cuts, whole=whole):
            locations = [cut.location for cut in cuts] if whole else []
        case OrderCancelled(order_id=order_id, reservations=held):
            locations = [reservation.location for reservation in held]
        case OrderJoined(order_id=order_id, transfers=locks) | OrderMergedInto(order_id=order_id, transfers=locks):
            locations = [lock.location for lock in locks]
        case OrderLocationFailed(order_id=order_id, location=location):
            locations = [location]
        case _:
            raise AssertionError(event)
    return tuple({(order_id, location): None for location in locations})


@projection.on(OrderSourced, OrderJoined, keys=key_of_locations)
def on_order_sourced_or_order_joined(_row: Row | None, _event: OrderSourced | OrderJoined, key: Key) -> Row:
    return {"order_id": key[0], "location": key[1]}


@projection.on(
    OrderReleased,
    OrderCancelled,
    OrderFulfilledElsewhere,
    OrderMergedInto,
    OrderLocationFailed,
    keys=key_of_locations,
)
def on_locks_ended(_row: Row | None, _event: Event, _key: Key) -> None:
    return None
