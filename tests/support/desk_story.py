"""The orders that the tests of the desk commands ask about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from oms_es.app import Engine
from oms_es.exit_codes import Code
from oms_es.schemas import order as o
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.stock import ReceiveStock

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
OPEN = OpenLocation(location="berlin", country="DE")
STOCK = ReceiveStock(sku="A", location="berlin", receipt_id="r", quantity=10)


def order(number: int, sku: str = "A", channel: str = "web", name: str = "Ada Lovelace") -> o.PlaceOrder:
    return o.PlaceOrder(
        channel=channel,
        external_id=f"W-{number}",
        placed_at=NOON + timedelta(hours=number),
        currency="EUR",
        lines=(o.OrderLine(line_id="1", sku=sku, quantity=1, unit_price_minor=1_000),),
        ship_to=o.Address(name=name, postal_code="10 115", country="DE"),
    )


def lived(url: str, *commands: Any, **options: Any) -> None:
    with Engine(url, **options) as engine:
        for command in commands:
            assert engine.submit("test", [command]) == []
            engine.settle()
        engine.settle()


def shown(oms: Any, *arguments: str) -> Any:
    code, out, err = oms(*arguments, "--json")
    assert code == Code.OK, err
    return json.loads(out)


def rows_read(plan: dict[str, Any]) -> Iterator[float]:
    """Yield, for each scan of a table, how many rows it read, those included that its filter removed."""
    if plan["Node Type"].endswith("Scan") and "Relation Name" in plan:
        yield plan["Actual Loops"] * (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0))
    for inner in plan.get("Plans", ()):
        yield from rows_read(inner)
