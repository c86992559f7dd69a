"""Locations: the places that can ship, open or closed."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, Float, Integer, Table, Text

from oms_es.kernel import Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.catalog.location import LocationClosed, LocationEvent, LocationOpened

table = Table(
    "locations",
    METADATA,
    Column("location", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("country", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("latitude", Float),
    Column("longitude", Float),
    Column("priority", Integer, nullable=False),
    Column("handling_minor", BigInteger, nullable=False),
    Column("channels", ARRAY(Text), nullable=False),
    Column("delivery_options", ARRAY(Text), nullable=False),
    Column("capacity_per_day", BigInteger),
    Column("open", Boolean, nullable=False),
)
projection = Projection(table, fed_by=("location-{location}",))


def key_of_location(event: LocationEvent) -> Iterable[Key]:
    return ((event.location,),)


@projection.on(LocationOpened, keys=key_of_location)
def on_location_opened(_row: Row | None, event: LocationOpened, _key: Key) -> Row:
    return {**event.model_dump(mode="json"), "open": True}


@projection.on(LocationClosed, keys=key_of_location)
def on_location_closed(row: Row | None, _event: LocationClosed, _key: Key) -> Row | None:
    return {**row, "open": False} if row else None
