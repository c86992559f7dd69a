"""Items: what each SKU is, and the components of those that are bundles."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Boolean, Column, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from oms_es.kernel import Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.catalog import item as i

table = Table(
    "items",
    METADATA,
    Column("sku", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("weight_grams", BigInteger, nullable=False),
    Column("volume_ml", BigInteger, nullable=False),
    Column("serial_tracked", Boolean, nullable=False),
    Column("components", JSONB, nullable=False),
)
projection = Projection(table, version=2, fed_by=("item-{sku}",))


def key_of_item(event: i.ItemEvent) -> Iterable[Key]:
    return ((event.sku,),)


@projection.on(i.ItemDescribed, i.BundleDefined, keys=key_of_item)
def on_item_described_or_bundle_defined(row: Row | None, event: i.ItemDescribed | i.BundleDefined, key: Key) -> Row:
    unknown = {"name": "", "category": "", "weight_grams": 0, "volume_ml": 0, "serial_tracked": False, "components": {}}
    return {**(row or {"sku": key[0], **unknown}), **event.model_dump()}
