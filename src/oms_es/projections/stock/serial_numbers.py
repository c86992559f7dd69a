"""Serial numbers: which numbered units of a SKU are ours, and at which location, as the registry says."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Column, Index, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.catalog import serial as n

table = Table(
    "serial_numbers",
    METADATA,
    Column("sku", Text, primary_key=True),
    Column("serial", Text, primary_key=True),
    Column("location", Text, nullable=False),
    Index("serial_numbers_by_location", "sku", "location"),
)
projection = Projection(table)


def of_the_numbers(recorded: Recorded) -> Iterable[Key]:
    event = recorded.event
    assert isinstance(event, n.SerialEvent)
    return tuple((event.sku, serial) for serial in event.serials)


@projection.on(n.SerialsClaimed, n.SerialsSeen, keys=of_the_numbers)
def is_there(_: Row | None, recorded: Recorded, key: Key) -> Row:
    event = recorded.event
    assert isinstance(event, n.SerialEvent)
    return {"sku": key[0], "serial": key[1], "location": event.location}


@projection.on(n.SerialsLeft, keys=of_the_numbers)
def is_gone(row: Row | None, recorded: Recorded, _: Key) -> Row | None:
    """Of a number that turned up elsewhere, its other place stays."""
    event = recorded.event
    assert isinstance(event, n.SerialsLeft)
    return row if row and row["location"] != event.location else None
