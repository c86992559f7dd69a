"""The events that a proof covers."""

from __future__ import annotations

from collections.abc import Sequence

from oms_es.errors import NotFound
from oms_es.proof.entries import StoredEvent
from oms_es.reports.queries import Connection, stock_of, timeline
from oms_es.store.sealing.proving import events_at, events_of


def of_order(connection: Connection, order_id: str) -> Sequence[StoredEvent]:
    """Return the events of an order's stream, and those of other streams in its timeline."""
    own = events_of(connection, [f"order-{order_id}"])
    others = [row["position"] for row in timeline(connection, order_id)]
    return events_at(connection, [*(event.position for event in own), *others])


def of_stream(connection: Connection, stream: str) -> Sequence[StoredEvent]:
    """Return the events of a stream. Raise NotFound if there are none."""
    return _some(events_of(connection, [stream]), stream)


def of_stock(connection: Connection, name: str) -> Sequence[StoredEvent]:
    """Return the events of SKU@LOCATION, or of a SKU at all locations. Raise NotFound if there are none."""
    streams = [f"stock-{name}"] + [f"stock-{name}@{row['location']}" for row in stock_of(connection, name)]
    return _some(events_of(connection, streams), name)


def at_position(connection: Connection, position: int) -> Sequence[StoredEvent]:
    """Return the event at a position, as a sequence. Raise NotFound if there is none."""
    return _some(events_at(connection, [position]), f"position {position}")


def _some(events: Sequence[StoredEvent], what: str) -> Sequence[StoredEvent]:
    if not events:
        raise NotFound(f"history has no event of {what}; compare the spelling")
    return events
