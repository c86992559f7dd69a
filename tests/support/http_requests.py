"""HTTP requests that tests send."""

from __future__ import annotations

from typing import Any


def order(external_id: str, channel: str = "web", quantity: Any = 1, sku: str = "TEA") -> dict[str, Any]:
    return {
        "channel": channel,
        "external_id": external_id,
        "placed_at": "2026-01-05T12:00:00Z",
        "currency": "EUR",
        "lines": [{"line_id": "1", "sku": sku, "quantity": quantity, "unit_price_minor": 1_000}],
        "ship_to": {"name": "Ada Lovelace", "street": "Rosenweg 7", "postal_code": "10115", "country": "DE"},
    }
