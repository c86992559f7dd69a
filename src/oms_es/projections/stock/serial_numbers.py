"""Serial numbers: the numbered units of each SKU that we have, and their locations, according to the registry."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Column, Index, Table, Text

from oms_es.kernel import Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.catalog import serial as se

table = Table(
    "serial_numbers",
    METADATA,
    Column("sku", Text, primary_key=True),
    Column("serial", Text, primary_key=True),
    Column("location", Text, nullable=False),
    Index("serial_numbers_by_location", "sku", "location"),
)
projection = Projection(table, fed_by=("serials-{sku}",))


def key_of_numbers(event: se.SerialEvent) -> Iterable[Key]:
    return tuple((event.sku, serial) for serial in event.serials)


@projection.on(se.SerialsClaimed, se.SerialsSeen, keys=key_of_numbers)
def on_serials_claimed_or_serials_seen(_row: Row | None, event: se.SerialEvent, key: Key) -> Row:
    return {"sku": key[0], "serial": key[1], "location": event.location}


@projection.on(se.SerialsLeft, keys=key_of_numbers)
def on_serials_left(row: Row | None, event: se.SerialsLeft, _key: Key) -> Row | None:
    """Delete the number, unless it has been recorded at another location since."""
    return row if row and row["location"] != event.location else None
