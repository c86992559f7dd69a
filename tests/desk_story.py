"""The orders that the tests of the desk ask about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from oms_es.schemas import order as o

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def order(number: int, sku: str = "A", channel: str = "web", name: str = "Ada Lovelace") -> o.PlaceOrder:
    return o.PlaceOrder(
        channel=channel,
        external_id=f"W-{number}",
        placed_at=NOON + timedelta(hours=number),
        currency="EUR",
        lines=(o.OrderLine(line_id="1", sku=sku, quantity=1, unit_price_minor=1_000),),
        ship_to=o.Address(name=name, postal_code="10 115", country="DE"),
    )
