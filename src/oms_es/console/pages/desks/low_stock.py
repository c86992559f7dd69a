"""SKUs that ran low and were not reordered yet; and proposed reorder points, each with the figures it was computed
from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from oms_es.console.inside import at
from oms_es.console.pages.commands import Offer, offers_of
from oms_es.console.routes import page
from oms_es.console.visits import Visit

READ = "stock:read"
HERE = "/console/low-stock"
LIMIT = "100"
SHOWN_MAX = 200


async def show(visit: Visit) -> Response:
    """Show low stock and the proposals for a location. Raise BadParameter or BadReport."""
    location, lead_days = visit.one("location"), visit.one("lead_days")
    query = {"status": "requested", "limit": LIMIT, "after": visit.one("after")}
    low, is_new_enough = await visit.api.get_soon("/v1/replenishments", query, shows=visit.done)
    locations = await visit.api.maybe("/v1/locations", {"limit": "250"})
    found: dict[str, Any] = {}
    if location:
        found = await visit.api.get(at("v1", "reorder-proposals", location), {"lead_days": lead_days})
    back = f"{HERE}?{urlencode({'location': location or '', 'lead_days': lead_days or ''})}"
    proposals = sorted(found.get("proposals", ()), key=lambda one: one["reorder_point"] == one["reorder_point_now"])
    return visit.page(
        "low_stock.html",
        low=[(row, _expect(visit, row, back)) for row in low["items"]],
        more=low["next"] and f"{HERE}?{urlencode({'after': low['next']})}",
        proposals=[(one, _approve(visit, one, back)) for one in proposals[:SHOWN_MAX]],
        left_out=max(len(proposals) - SHOWN_MAX, 0),
        found=found,
        locations=[row["location"] for row in locations["items"]] if locations else [],
        chosen={"location": location or "", "lead_days": lead_days or ""},
        is_new_enough=is_new_enough,
    )


def _approve(visit: Visit, one: Mapping[str, Any], back: str) -> list[Offer]:
    """Return the offer to set the proposed reorder point, or nothing if it is set already."""
    if one["reorder_point"] == one["reorder_point_now"]:
        return []
    values = {"sku": one["sku"], "location": one["location"]}
    values |= {"quantity": str(one["reorder_point"]), "up_to": str(one["up_to"])}
    return offers_of(visit, "stock", ("set-reorder-point",), values, back)


def _expect(visit: Visit, row: Mapping[str, Any], back: str) -> list[Offer]:
    values = {name: str(row[name]) for name in ("sku", "location", "request_id", "quantity")}
    return offers_of(visit, "stock", ("expect-inbound",), {**values, "inbound_id": row["request_id"]}, back)


ROUTES = (page("/low-stock", "low-stock", READ, show, "location", "lead_days", "after"),)
