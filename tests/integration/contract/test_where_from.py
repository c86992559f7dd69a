"""Sourcing in the whole engine: versioned rules, bundles, a closed location, manual assignment, and the explanation
of each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from oms_es.app import DECIDERS, PROJECTIONS, Engine, engine_on
from oms_es.cli.main import main
from oms_es.exit_codes import Code
from oms_es.history.why import sourcing_of
from oms_es.kernel import Command
from oms_es.schemas import order as o
from oms_es.schemas.catalog.item import DefineBundle
from oms_es.schemas.catalog.location import CloseLocation, OpenLocation
from oms_es.schemas.catalog.refusals import CatalogRefusal
from oms_es.schemas.catalog.rules import EligibilityRule, PublishSourcingRules
from oms_es.schemas.stock import ReceiveStock
from oms_es.verification.verify import verify

BERLIN = o.Address(country="DE", latitude=52.5, longitude=13.4)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    with engine_on(database_url) as an_engine:
        submit(
            an_engine,
            OpenLocation(location="berlin", country="DE", latitude=52.5, longitude=13.4),
            OpenLocation(location="paris", country="FR", latitude=48.9, longitude=2.4),
        )
        yield an_engine
        report = verify(database_url, DECIDERS, PROJECTIONS, an_engine.store.codec)
        assert report.passed, [check.differences for check in report.checks]


def submit(engine: Engine, *commands: Command) -> None:
    assert engine.submit("test", commands) == []
    engine.settle()


def stock(sku: str, quantity: int, location: str = "berlin") -> ReceiveStock:
    return ReceiveStock(sku=sku, location=location, receipt_id=f"{sku}@{location}", quantity=quantity)


def order(number: int, *lines: tuple[str, int], **more: Any) -> o.PlaceOrder:
    return o.PlaceOrder(
        channel="web",
        external_id=str(number),
        placed_at=datetime(2026, 1, 1, tzinfo=UTC),
        currency="EUR",
        lines=tuple(
            o.OrderLine(line_id=str(n), sku=sku, quantity=quantity, unit_price_minor=999)
            for n, (sku, quantity) in enumerate(lines)
        ),
        ship_to=BERLIN,
        **more,
    )


def rows(engine: Engine, query: str, *values: Any) -> list[dict[str, Any]]:
    with psycopg.connect(engine.database_url, row_factory=dict_row) as connection:
        return connection.execute(query.encode(), values).fetchall()


def phase(engine: Engine, placed: o.PlaceOrder) -> str:
    (row,) = rows(engine, "SELECT phase FROM order_status WHERE order_id = %s", placed.order_id)
    found: str = row["phase"]
    return found


def shipped_from(engine: Engine) -> dict[tuple[str, str], int]:
    left = rows(engine, "SELECT sku, location, shipped FROM stock_levels WHERE shipped > 0")
    return {(row["sku"], row["location"]): row["shipped"] for row in left}


def why(engine: Engine, placed: o.PlaceOrder) -> list[str]:
    with psycopg.connect(engine.database_url, row_factory=dict_row) as connection:
        return [step.what for step in sourcing_of(connection, engine.store.codec, placed.order_id)]


def test_orders_are_sourced_by_the_version_that_holds(engine: Engine) -> None:
    only_paris = EligibilityRule(rule_id="paris-first", effect="only", locations=("paris",))
    submit(engine, stock("A", 5), stock("A", 5, "paris"))
    by_one, by_two = order(1, ("A", 1)), order(2, ("A", 1))
    submit(engine, by_one)
    submit(engine, PublishSourcingRules(version="2", eligibility=(only_paris,)))
    submit(engine, by_two)
    assert shipped_from(engine) == {("A", "berlin"): 1, ("A", "paris"): 1}
    assert why(engine, by_one) == ["attempt 1, by rules version 1; 1 x A from berlin"]
    assert why(engine, by_two) == ["attempt 1, by rules version 2; 1 x A from paris; not berlin: rule paris-first"]


def test_p03_a_bundle_and_a_line_that_share_a_component_do_not_promise_it_twice(engine: Engine) -> None:
    submit(engine, DefineBundle(sku="BOX", components={"A": 2, "B": 1}), stock("A", 4), stock("B", 9))
    short = order(1, ("BOX", 2), ("A", 1))
    submit(engine, short)
    assert phase(engine, short) == "backordered"
    assert rows(engine, "SELECT sku, quantity FROM backorder_queue") == [{"sku": "A", "quantity": 1}]
    submit(engine, ReceiveStock(sku="A", location="berlin", receipt_id="more", quantity=1))
    assert phase(engine, short) == "completed"
    assert shipped_from(engine) == {("A", "berlin"): 5, ("B", "berlin"): 2}
    assert why(engine, short)[0] == "BOX is 2 x A, 1 x B"


def test_bundles_that_are_made_of_each_other_are_taken_apart_once(engine: Engine) -> None:
    """Components are picked as they are, even if they are bundles themselves: the expansion always ends."""
    made_of = {"A": {"B": 2}, "B": {"A": 3}, "BOX": {"A": 1, "B": 1, "BAG": 1}, "BAG": {"BOX": 1}}
    for sku, components in made_of.items():
        submit(engine, DefineBundle(sku=sku, components=components))
        ((_, refused),) = engine.submit("test", [DefineBundle(sku=sku, components={**components, sku: 1})])
        assert refused.reason is CatalogRefusal.MADE_OF_ITSELF
    short = order(1, ("A", 2), ("B", 1), ("BOX", 1), ("BAG", 1))
    submit(engine, stock("A", 4), stock("B", 5), stock("BAG", 1), short)
    assert phase(engine, short) == "backordered"
    assert rows(engine, "SELECT sku, quantity FROM backorder_queue") == [{"sku": "BOX", "quantity": 1}]
    submit(engine, stock("BOX", 1))
    assert phase(engine, short) == "completed"
    apart = {("A", "berlin"): 4, ("B", "berlin"): 5, ("BAG", "berlin"): 1, ("BOX", "berlin"): 1}
    assert shipped_from(engine) == apart


def test_what_is_locked_at_a_location_that_closes_is_shipped_from_elsewhere(engine: Engine) -> None:
    submit(engine, stock("A", 1), stock("A", 1, "paris"), stock("B", 1, "paris"))
    waits = order(1, ("A", 1), ("B", 2))
    submit(engine, waits)
    assert phase(engine, waits) == "backordered"
    submit(engine, CloseLocation(location="paris", reason="flooded"))
    assert rows(engine, "SELECT sku, reserved FROM stock_levels WHERE location = 'paris' ORDER BY sku") == [
        {"sku": "A", "reserved": 0},
        {"sku": "B", "reserved": 0},
    ]
    assert "paris failed: flooded; released 1 x A at paris, 1 x B at paris" in why(engine, waits)
    submit(engine, stock("B", 2))
    assert phase(engine, waits) == "completed"
    assert shipped_from(engine) == {("A", "berlin"): 1, ("B", "berlin"): 2}


def test_an_order_that_must_not_be_split_waits_until_one_place_has_it_all(engine: Engine) -> None:
    submit(engine, stock("A", 1), stock("B", 1, "paris"))
    whole, other = order(1, ("A", 1), ("B", 1), allow_split=False), order(2, ("A", 1))
    submit(engine, whole)
    assert phase(engine, whole) == "backordered"
    submit(engine, other)
    assert phase(engine, other) == "completed"
    submit(engine, ReceiveStock(sku="A", location="paris", receipt_id="more", quantity=1))
    assert phase(engine, whole) == "completed"


def test_a_person_assigns_a_backordered_order_and_the_log_says_so(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    submit(engine, stock("A", 1), stock("A", 2, "paris"))
    no_paris = EligibilityRule(rule_id="no-paris", effect="never", locations=("paris",))
    submit(engine, PublishSourcingRules(version="2", eligibility=(no_paris,)))
    waits = order(1, ("A", 2))
    submit(engine, waits)
    assert phase(engine, waits) == "backordered"
    from_paris = (o.Assignment(sku="A", location="paris", quantity=2),)
    submit(engine, o.AssignOrder(order_id=waits.order_id, assignments=from_paris, reason="it is urgent"))
    assert phase(engine, waits) == "completed"
    assert shipped_from(engine) == {("A", "paris"): 2}
    monkeypatch.setenv("OMS_DATABASE_URL", engine.database_url)
    assert main(["order", "why", "web/1"]) == Code.OK
    reported = capsys.readouterr().out
    for words in ("no-paris", "by hand: it is urgent", "by rules version manual", "test", "score"):
        assert words in reported
    assert main(["order", "why", "web/1", "--json"]) == Code.OK
    steps = json.loads(capsys.readouterr().out)
    decided = [step["event"]["rule_version"] for step in steps if step["name"] == "OrderSourced"]
    assert decided == ["2", "manual"]
    assert steps[0]["event"]["candidates"][0]["locations"] == ["berlin"]
    assert main(["order", "why", "web/nobody"]) == Code.NOT_FOUND
