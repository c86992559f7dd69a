"""Carrier rates: what each carrier charges now."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Boolean, Column, Index, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.catalog import rates as r

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
projection = Projection(table)


def of_the_carrier(recorded: Recorded) -> Iterable[Key]:
    event = recorded.event
    assert isinstance(event, r.RatesEvent)
    return ((event.carrier,),)


@projection.on(r.RatesPublished, keys=of_the_carrier)
def published(_: Row | None, recorded: Recorded, __: Key) -> Row:
    return {**recorded.event.model_dump(mode="json"), "offered": True}


@projection.on(r.RatesWithdrawn, keys=of_the_carrier)
def withdrawn(row: Row | None, _: Recorded, __: Key) -> Row | None:
    return row and {**row, "offered": False}
