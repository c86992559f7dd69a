"""Sellers: one row each, as it is set now."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ARRAY, BigInteger, Column, Integer, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.finance.invoicing import SELLERS_STREAM, SellerSet

TEXTS = (
    *("name", "address_line", "city", "postal_code", "country", "vat_id", "tax_number", "note"),
    *("prefix", "included_tax", "exempt_reason"),
)
table = Table(
    "sellers",
    METADATA,
    Column("seller", Text, primary_key=True),
    *(Column(text, Text, nullable=False) for text in TEXTS),
    Column("channels", ARRAY(Text), nullable=False),
    Column("tax_rates", ARRAY(Text), nullable=False),
    Column("digits", Integer, nullable=False),
    Column("keep_years", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
)
projection = Projection(table, fed_by=(SELLERS_STREAM,))


def key_of_seller(event: SellerSet) -> Iterable[Key]:
    return ((event.seller,),)


@projection.on(SellerSet, keys=key_of_seller)
def on_seller_set(_row: Row | None, event: SellerSet, recorded: Recorded, _key: Key) -> Row:
    said = {name: getattr(event, name) for name in ("seller", *TEXTS, "digits", "keep_years")}
    lists = {name: list(getattr(event, name)) for name in ("channels", "tax_rates")}
    return {**said, **lists, "position": recorded.position}
