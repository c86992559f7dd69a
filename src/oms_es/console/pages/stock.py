"""Stock: a matrix of SKUs and locations; and for one SKU, its bins and reservations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from oms_es.console import comparing, curves
from oms_es.console.inside import at
from oms_es.console.pages.commands import offers
from oms_es.console.routes import page
from oms_es.console.visits import Visit
from oms_es.errors import NotFound
from oms_es.http.errors import BadParameter, Forbidden

LIMIT = "250"
SHOWN = ("on_hand", "reserved", "atp", "inbound", "safety_stock", "damaged", "quarantine", "presold", "reorder_point")
SCANNED = ("receive", "count", "move", "move-to-bin")
"""Commands that are given with a scanner."""
WRITE = "stock:write"
DRAWN = ("on_hand", "atp")


async def matrix(visit: Visit) -> Response:
    """Show the matrix; a SKU that crosses the end of a page is completed."""
    if scanned := (visit.one("scan") or "").strip():
        return _scanned(visit, scanned)
    wanted = visit.one("sku")
    query = {"location": visit.one("location"), "after": visit.one("after"), "limit": LIMIT}
    found = await visit.api.get("/v1/stock", query) if wanted is None else await _of(visit, wanted)
    rows = found["items"]
    if visit.one("location") is None and wanted is None and rows:
        rows = await _completed(visit, rows)
    locations = sorted({row["location"] for row in rows})
    by_sku: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        by_sku.setdefault(row["sku"], {})[row["location"]] = row
    chosen = {name: value for name in ("location", "sku") if (value := visit.one(name))}
    more = found["next"] and f"/console/stock?{urlencode({**chosen, 'after': found['next']})}"
    return visit.page(
        "stock.html",
        by_sku=by_sku,
        locations=locations,
        chosen=chosen,
        more=more,
        scanned=[verb for verb in SCANNED if visit.api.may(WRITE)],
        scan={"at": visit.one("scan_at") or "", "do": visit.one("do") or SCANNED[0]},
    )


def _scanned(visit: Visit, sku: str) -> Response:
    """Redirect to the form for a scanned SKU, which leads back to the field for the next scan. Raise BadParameter."""
    verb, location = visit.one("do") or SCANNED[0], (visit.one("scan_at") or "").strip()
    if verb not in SCANNED:
        raise BadParameter("do", f"write one of {', '.join(SCANNED)}")
    again = {name: value for name in ("scan_at", "do") if (value := visit.one(name))}
    known = {"sku": sku, **({"location": location} if location else {})}
    return visit.go(f"/console/commands/stock/{verb}", **known, next=f"/console/stock?{urlencode(again)}")


async def _of(visit: Visit, sku: str) -> dict[str, Any]:
    try:
        return {"items": (await visit.api.get(at("v1", "stock", sku)))["levels"], "next": None}
    except NotFound:
        return {"items": [], "next": None}


async def _completed(visit: Visit, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    edges = {rows[0]["sku"], rows[-1]["sku"]}
    whole = [row for sku in sorted(edges) for row in (await _of(visit, sku))["items"]]
    between = [row for row in rows if row["sku"] not in edges]
    return sorted([*whole, *between], key=lambda row: (row["sku"], row["location"]))


async def one(visit: Visit) -> Response:
    """Show one SKU now, or as of a moment beside now. Raise NoResource."""
    sku, moment = visit.values["sku"], visit.one("at")
    path = at("v1", "stock", sku)
    now, is_new_enough = await visit.api.get_soon(path, shows=visit.done)
    found = now if moment is None else await visit.api.get(path, {"at": moment})
    levels = [await _whole(visit, sku, row) for row in now["levels"]] if moment is None else found["levels"]
    steps = await visit.api.maybe(at("v1", "stock-history", sku)) or {"items": []}
    until = datetime.now(UTC)
    return visit.page(
        "sku.html",
        sku=sku,
        moment=moment,
        levels=levels,
        shown=SHOWN,
        places=found.get("places", []),
        serials=found.get("serials", {}),
        ticks=comparing.ticks(steps["items"], moment),
        facts=comparing.of_stock(found["levels"], now["levels"], SHOWN) if moment else [],
        pictures=[(name, curves.curves(steps["items"], name, until)) for name in DRAWN],
        is_new_enough=is_new_enough,
    )


async def _whole(visit: Visit, sku: str, row: Mapping[str, Any]) -> dict[str, Any]:
    held = await _held(visit, sku, row["location"])
    return {**row, "held": held, "offers": offers(visit, "stock", _named(row), row)}


def _named(row: Mapping[str, Any]) -> dict[str, str]:
    return {"sku": row["sku"], "location": row["location"]}


async def _held(visit: Visit, sku: str, location: str) -> list[dict[str, Any]] | None:
    try:
        found: list[dict[str, Any]] = (await visit.api.get(at("v1", "stock", sku, location, "reservations")))["items"]
    except Forbidden:
        return None
    return found


ROUTES = (
    page("/stock", "stock", "stock:read", matrix, "location", "sku", "after", "scan", "scan_at", "do"),
    page("/stock/{sku}", "sku", "stock:read", one, "at"),
)
