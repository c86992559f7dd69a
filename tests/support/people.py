"""A shop with the orders of two people, and what its database holds of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row

from oms_es.app import DECIDERS, PROJECTIONS, Engine, migrate
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.order import AddNote, Address, PlaceOrder
from oms_es.schemas.order.content import order_id_of
from oms_es.schemas.stock import ReceiveStock
from oms_es.schemas.values.customer import Customer
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec
from oms_es.store.privacy import wrapping
from oms_es.verification.verify import verify
from shop import an_order

KEY = b"\x09" * wrapping.KEY_BYTES
ADA = Address(name="Ada Lovelace", street="12 St James's Square", city="London", postal_code="SW1Y 4JH", country="GB")
GRACE = Address(name="Grace Hopper", street="1 Battery Park", city="New York", postal_code="10004", country="US")
C_ADA = Customer(customer_id="c-1815", email="ada@analytical.example", phone="+44 20 7946 0018", language="en")
C_GRACE = Customer(customer_id="c-1906", email="grace@navy.example", language="en")
SAID = ("Lovelace", "James's", "SW1Y", "c-1815", "analytical", "20 7946", "ring twice", "wants it wrapped")
FIRST, SECOND, OF_GRACE = (order_id_of("web", number) for number in "123")

NOTE = AddNote(order_id=FIRST, note_id="n", note_text="Ada Lovelace wants it wrapped")


def order_of(address: Address, customer: Customer, number: str, sku: str = "A", quantity: int = 1) -> PlaceOrder:
    placed = an_order(number, (sku, quantity), notes=f"ring twice, {address.name}", customer=customer)
    return placed.model_copy(update={"ship_to": address})


@contextmanager
def engine_with_people(database_url: str, **options: Any) -> Iterator[Engine]:
    migrate(database_url, data_keys=[KEY])
    with Engine(database_url, **options) as engine:
        people_order(engine)
        yield engine


def people_order(engine: Engine) -> None:
    stock = ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=9)
    engine.submit("test", [OpenLocation(location="berlin", country="DE"), stock])
    engine.submit("test", [order_of(ADA, C_ADA, "1"), order_of(ADA, C_ADA, "2"), order_of(GRACE, C_GRACE, "3")])
    engine.submit("test", [NOTE])
    engine.settle()


def rows_of(url: str, table: str) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(f"SELECT * FROM {table}".encode()).fetchall()


def everything(url: str) -> str:
    """Every row of every table, of kept states, too, but for what is encrypted."""
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        texts = [connection.execute(f"SELECT t::text FROM {table} AS t".encode()).fetchall() for (table,) in tables]
        payloads = connection.execute(
            "SELECT convert_from(state, 'UTF8') FROM oms_events "
            "UNION ALL SELECT convert_from(payload, 'UTF8') FROM oms_dead_letters"
        ).fetchall()
    return "\n".join(str(row[0]) for found in [*texts, payloads] for row in found)


def assert_right(engine: Engine) -> None:
    report = verify(engine.database_url, DECIDERS, PROJECTIONS, Codec(EVENTS))
    assert [(check.name, check.differences) for check in report.checks if check.failed] == []
