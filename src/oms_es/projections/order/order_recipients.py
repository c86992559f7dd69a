"""Order recipients: the customer and the address of each order, to find an order by what a customer says on the phone.

`name_key` is the name without regard to case and spacing; `postal_code_key` is the code without its spaces; `email_key`
is the address without regard to case. `customer_id` is empty if the order names none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, DateTime, Index, Table, Text

from oms_es.kernel import Key, Projection, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.order import Address, OrderAmended, OrderPlaced
from oms_es.schemas.values.personal import PERSONAL_COLUMN

table = Table(
    "order_recipients",
    METADATA,
    Column("order_id", Text, primary_key=True),
    Column("placed_at", DateTime(timezone=True), nullable=False),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, info=PERSONAL_COLUMN),
    Column("postal_code_key", Text, nullable=False, info=PERSONAL_COLUMN),
    Column("country", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("customer_id", Text, nullable=False, info=PERSONAL_COLUMN),
    Column("email_key", Text, nullable=False, info=PERSONAL_COLUMN),
    Index("order_recipients_by_name", "name_key", "placed_at", "order_id"),
    Index("order_recipients_by_postal_code", "postal_code_key", "placed_at", "order_id"),
    Index("order_recipients_by_country", "country", "placed_at", "order_id"),
    Index("order_recipients_by_customer", "channel", "customer_id", "placed_at", "order_id"),
    Index("order_recipients_by_email", "email_key", "placed_at", "order_id"),
)
projection = Projection(table, version=2, fed_by=("order-{order_id}",))


def name_key(name: str) -> str:
    return " ".join(name.casefold().split())


def email_key(email: str) -> str:
    return email.strip().casefold()


def postal_code_key(code: str) -> str:
    return "".join(code.casefold().split())


def key_of_order(event: OrderPlaced | OrderAmended) -> Iterable[Key]:
    return ((event.order_id,),) if event.ship_to else ()


def _of(address: Address) -> dict[str, Any]:
    return {
        "name": address.name,
        "name_key": name_key(address.name),
        "postal_code_key": postal_code_key(address.postal_code),
        "country": address.country,
    }


@projection.on(OrderPlaced, keys=key_of_order)
def on_order_placed(_row: Row | None, event: OrderPlaced, key: Key) -> Row:
    whose = {
        "channel": event.channel,
        "customer_id": event.customer_id,
        "email_key": email_key((event.customer and event.customer.email) or ""),
    }
    return {"order_id": key[0], "placed_at": event.placed_at, **whose, **_of(event.ship_to)}


@projection.on(OrderAmended, keys=key_of_order)
def on_order_amended(row: Row | None, event: OrderAmended, _key: Key) -> Row | None:
    return {**row, **_of(event.ship_to)} if row and event.ship_to else row
