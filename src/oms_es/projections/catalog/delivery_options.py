"""Delivery options: what each promises."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Column, Integer, Table, Text

from oms_es.kernel import Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.catalog.rates import DeliveryOptionDefined

table = Table(
    "delivery_options",
    METADATA,
    Column("option", Text, primary_key=True),
    Column("transit_days_max", Integer),
    Column("prefer", Text, nullable=False),
)
projection = Projection(table, fed_by=("delivery-{option}",))


def key_of_option(event: DeliveryOptionDefined) -> Iterable[Key]:
    return ((event.option,),)


@projection.on(DeliveryOptionDefined, keys=key_of_option)
def on_delivery_option_defined(_row: Row | None, event: DeliveryOptionDefined, _key: Key) -> Row:
    return event.model_dump()
