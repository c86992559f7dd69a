"""The dimensions of reports: weekday and hour, kinds of customers, categories of goods, and taxes of orders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from conftest import fresh_database
from oms_es.app import engine_on
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.reports.figures import answering, asking, definition
from oms_es.reports.figures.definition import Definition
from oms_es.reports.figures.words import BadReport
from oms_es.schemas import order as o
from oms_es.schemas.catalog.item import DescribeItem
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.stock import ReceiveStock
from oms_es.schemas.values.customer import Customer

RECIPES = Path(__file__).parents[3] / "docs" / "howto" / "report-recipes.md"
SATURDAY = datetime(2026, 1, 10, 23, 30, tzinfo=UTC)
"""In Berlin it is Sunday, half past midnight."""


def an_order(name: str, sku: str, customer: str, after: timedelta, **more: Any) -> o.PlaceOrder:
    line = o.OrderLine(line_id="1", sku=sku, quantity=2, unit_price_minor=1_000)
    return o.PlaceOrder(
        channel=more.pop("channel", "web"),
        external_id=name,
        placed_at=SATURDAY + after,
        currency="EUR",
        lines=(line,),
        ship_to=o.Address(country="DE"),
        customer=Customer(customer_id=customer) if customer else None,
        **more,
    )


ORDERS = (
    an_order("1", "TEA", "ann", timedelta(), shipping_minor=500, tax_minor=40, discount_minor=100),
    an_order("2", "MUG", "ann", timedelta(days=1)),
    an_order("3", "MUG", "", timedelta(days=1)),
    an_order("4", "TEA", "ann", timedelta(days=2), channel="pos", shipping_minor=7),
    an_order("5", "NEW", "bob", timedelta(days=2), tax_minor=9),
)


@pytest.fixture(scope="module")
def url(embedded_server: EmbeddedPostgres) -> Iterator[str]:
    with fresh_database(embedded_server) as fresh, engine_on(fresh) as engine:
        described = [DescribeItem(sku="TEA", category="Drinks"), DescribeItem(sku="MUG", category="Kitchen")]
        stock = [ReceiveStock(sku=sku, location="berlin", receipt_id="r", quantity=90) for sku in ("TEA", "MUG", "NEW")]
        engine.submit("test", [OpenLocation(location="berlin", country="DE"), *described, *stock])
        engine.submit("test", ORDERS)
        engine.submit("test", [o.CancelOrder(order_id=o.order_id_of("web", "5"), reason="changed their mind")])
        engine.settle()
        yield fresh


def asked(source: str, by: str, *measures: str) -> Definition:
    listed = ", ".join(f'{{ name = "{name}", of = "{name}" }}' for name in measures)
    text = f'name = "mine"\ntitle = "Mine"\nsource = "{source}"\nby = ["{by}"]\nmeasure = [{listed}]\n'
    return definition.read(text, "mine.toml")


def rows(url: str, one: Definition, **how: Any) -> dict[Any, tuple[Any, ...]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        found = answering.answer(connection, asking.question(one, **how))
    width = len(found.question.by)
    return {row[0]: tuple(row[width:]) for row in found.rows}


def test_days_of_the_week_and_hours_are_those_of_the_time_zone(url: str) -> None:
    by_day = asked("orders", "weekday", "orders")
    assert rows(url, by_day) == {"6: Saturday": (1,), "7: Sunday": (2,), "1: Monday": (2,)}
    assert rows(url, by_day, zone="Europe/Berlin") == {"7: Sunday": (1,), "1: Monday": (2,), "2: Tuesday": (2,)}
    assert rows(url, by_day, where=["weekday=7: Sunday,1: Monday"]) == {"7: Sunday": (2,), "1: Monday": (2,)}
    by_hour = asked("orders", "hour_of_day", "orders")
    assert rows(url, by_hour) == {"23:00": (5,)}
    assert rows(url, by_hour, zone="Asia/Kolkata") == {"05:00": (5,)}


def test_a_part_of_time_that_is_none_is_refused_by_name(url: str) -> None:
    with pytest.raises(BadReport, match="did you mean 7: Sunday"):
        rows(url, asked("orders", "weekday", "orders"), where=["weekday=sunday"])
    with pytest.raises(BadReport, match="dimension of classes 'weekday'"):
        asked("classes", "weekday", "units")


def test_a_customer_is_new_with_the_first_order_on_a_channel(url: str) -> None:
    kinds = {"new": (3,), "returning": (1,), "guest": (1,)}
    assert rows(url, asked("orders", "customer_kind", "orders")) == kinds
    assert rows(url, asked("lines", "customer_kind", "units")) == {name: (2 * n,) for name, (n,) in kinds.items()}
    one = asked("orders", "channel", "orders")
    assert rows(url, one, where=["customer_kind=returning"]) == {"web": (1,)}


def test_what_is_merged_or_split_is_no_order_before_itself(embedded_server: EmbeddedPostgres) -> None:
    waiting = [an_order(name, "NONE", "cleo", timedelta(minutes=n)) for n, name in enumerate(("a", "b"))]
    first, second = (one.order_id for one in waiting)
    with fresh_database(embedded_server) as url, engine_on(url) as engine:
        engine.submit("test", [OpenLocation(location="berlin", country="DE"), *waiting])
        engine.settle()
        engine.submit("test", [o.MergeOrders(channel="web", merge_id="m", order_ids=(first, second))])
        engine.settle()
        assert rows(url, asked("orders", "customer_kind", "orders"))["new"] == (1,), "of which both became part"
        alone = an_order("c", "NONE", "dora", timedelta())
        engine.submit("test", [alone])
        engine.settle()
        units = (o.LineUnits(line_id="1", quantity=1),)
        engine.submit("test", [o.SplitOrder(order_id=alone.order_id, split_id="s", lines=units)])
        engine.settle()
        kinds = rows(url, asked("orders", "customer_kind", "orders"))
    assert kinds["new"] == (3,), "both parts are of the order that was the first"


def test_who_is_not_asked_for_is_not_read(url: str) -> None:
    plain = asking.question(asked("orders", "channel", "orders"))
    kinds = asking.question(asked("lines", "customer_kind", "units"))
    only_new = asking.question(asked("orders", "channel", "orders"), where=["customer_kind=new"])
    assert "order_recipients" not in plain.tables, "states of what says something of people are seldom kept"
    assert "order_recipients" in kinds.tables
    assert "order_recipients" in only_new.tables
    by_end = asked("orders", "weekday", "orders").model_copy(update={"time": "cancelled_at"})
    assert None not in rows(url, by_end), "what was never cancelled was so on no day"


def test_goods_are_counted_by_what_they_were_described_as(url: str) -> None:
    assert rows(url, asked("lines", "category", "units")) == {"Drinks": (4,), "Kitchen": (4,), "": (2,)}
    assert rows(url, asked("movements", "category", "units_in")) == {"Drinks": (90,), "Kitchen": (90,), "": (90,)}
    for source, number in (("stock_ages", "units"), ("stock_days", "days"), ("idle_stock", "skus")):
        assert set(rows(url, asked(source, "category", number))) == {"Drinks", "Kitchen", ""}, source
    for source, number in (("backorders", "units"), ("returns", "requested_units")):
        assert rows(url, asked(source, "category", number)) == {}, source
    assert set(rows(url, asked("shipped", "category", "units"))) <= {"Drinks", "Kitchen"}


def test_what_orders_say_for_shipping_taxes_and_discounts_is_of_those_that_stand(url: str) -> None:
    found = rows(url, asked("orders", "channel", "shipping_minor", "tax_minor", "discount_minor", "standing_minor"))
    assert found == {"web": (500, 40, 100, 2_440 + 2_000 + 2_000), "pos": (7, 0, 0, 2_007)}
    assert rows(url, asked("orders", "channel", "undiscounted_minor"))["web"] == (6_540,)


def test_every_recipe_of_the_guide_runs(url: str) -> None:
    found = [
        definition.read(text, "recipe.toml")
        for text in re.findall(r"```toml\n(.*?)```", RECIPES.read_text(), re.DOTALL)
    ]
    assert len({one.name for one in found}) == 30
    with_rows = {one.name for one in found if rows(url, one)}
    assert with_rows >= {
        "sales-by-weekday",
        "new-and-returning",
        "tax-by-country",
        "money-taken",
        "old-stock",
        "pick-time",
    }
