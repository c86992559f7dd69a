"""Delivery options: what each promises."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Column, Integer, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.catalog.rates import DeliveryOptionDefined

table = Table(
    "delivery_options",
    METADATA,
    Column("option", Text, primary_key=True),
    Column("transit_days_max", Integer),
    Column("prefer", Text, nullable=False),
)
projection = Projection(table)


def of_the_option(recorded: Recorded) -> Iterable[Key]:
    return ((recorded.event.option,),)  # type: ignore[attr-defined] # only this event comes here


@projection.on(DeliveryOptionDefined, keys=of_the_option)
def defined(_: Row | None, recorded: Recorded, __: Key) -> Row:
    return recorded.event.model_dump()
