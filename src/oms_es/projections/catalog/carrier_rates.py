"""Carrier rates: what each carrier charges now."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Boolean, Column, Index, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.kernel import Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.catalog import rates as ra

table = Table(
    "carrier_rates",
    METADATA,
    Column("carrier", Text, primary_key=True),
    Column("offered", Boolean, nullable=False),
    Column("version", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("services", JSONB, nullable=False),
    Index("carrier_rates_offered", "offered"),
)
projection = Projection(table, fed_by=("rates-{carrier}",))


def key_of_carrier(event: ra.RatesEvent) -> Iterable[Key]:
    return ((event.carrier,),)


@projection.on(ra.RatesPublished, keys=key_of_carrier)
def on_rates_published(_row: Row | None, event: ra.RatesPublished, _key: Key) -> Row:
    return {**event.model_dump(mode="json"), "offered": True}


@projection.on(ra.RatesWithdrawn, keys=key_of_carrier)
def on_rates_withdrawn(row: Row | None, _event: ra.RatesWithdrawn, _key: Key) -> Row | None:
    return row and {**row, "offered": False}
