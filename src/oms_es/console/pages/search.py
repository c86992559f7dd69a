"""One search field for names of orders, parcels, payments, returns and SKUs, also for several names at once."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from starlette.responses import Response

from oms_es.console.inside import at
from oms_es.console.routes import page
from oms_es.console.visits import Visit
from oms_es.errors import NotFound
from oms_es.http.access import PERSONAL
from oms_es.kernel import Refused

NAMES_MAX = 50
BETWEEN = re.compile(r"[\s,;]+")


async def search(visit: Visit) -> Response:
    """Search for the text; if exactly one order is found, redirect to it."""
    text = (visit.one("q") or "").strip()
    found = await _orders(visit, text) if text else []
    is_sku = bool(text) and await _is_sku(visit, text)
    missing: list[str] = []
    if text and not found and not is_sku and len(names := list(dict.fromkeys(BETWEEN.split(text)))) > 1:
        each = await asyncio.gather(*(_orders(visit, name) for name in names[:NAMES_MAX]))
        missing = [name for name, rows in zip(names, each, strict=False) if not rows]
        found = list({row["order_id"]: row for rows in each for row in rows}.values())
    if len(found) == 1 and not is_sku and not missing:
        return visit.go(at("console", "orders", found[0]["order_id"]))
    return visit.page("search.html", text=text, orders=found, is_sku=is_sku, missing=missing, names_max=NAMES_MAX)


async def _orders(visit: Visit, text: str) -> list[dict[str, Any]]:
    """Return the orders that match. A person who may not see personal data finds orders by their own names only."""
    if visit.api.may(PERSONAL):
        found: list[dict[str, Any]] = (await visit.api.get("/v1/orders", {"q": text}))["items"]
        return found
    try:
        return [await visit.api.get(at("v1", "orders", text.replace("/", "~", 1)))]
    except (NotFound, Refused):
        return []


async def _is_sku(visit: Visit, text: str) -> bool:
    try:
        return await visit.api.maybe(at("v1", "stock", text)) is not None
    except NotFound:
        return False


ROUTES = (page("/search", "search", "orders:read", search, "q"),)
