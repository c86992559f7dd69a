"""The shipping desk: waiting parcels by location, in waves, with a pick list and a packing list to be printed.

Invariant: the address of a list names its parcels: printed again it is the same list, whatever has left meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.responses import Response

from oms_es.console.inside import at
from oms_es.console.pages.commands import offers_of
from oms_es.console.pages.desks.barcode import Bars, code_128
from oms_es.console.routes import page
from oms_es.console.visits import Visit
from oms_es.http.errors import BadParameter

READ = "shipments:read"
LIMIT = "250"
WAVE = 20
"""Parcels that one person picks in one round."""
WAITING = ("requested", "packed", "to_be_booked", "booking", "booked")
NEXT: Mapping[str, tuple[str, ...]] = {
    "requested": ("pack",),
    "packed": ("book",),
    "to_be_booked": ("book", "record-collection"),
    "booking": ("record-collection",),
    "booked": ("record-collection", "cancel-booking"),
}
"""Commands that are most often given for a parcel, by its status."""


class Pick(NamedTuple):
    """Units of a SKU to be picked at a location: the bins, and the parcels that they are for."""

    bins: str
    sku: str
    quantity: int
    bars: Bars | None
    parcels: Sequence[int]


class Parcel(NamedTuple):
    """A parcel of a list. `number`: of its tote."""

    number: int
    row: Mapping[str, Any]
    lines: Sequence[Mapping[str, Any]]
    bars: Bars | None


async def waiting(visit: Visit) -> Response:
    """List waiting parcels, the oldest first; a scanned code leads to the form that packs its parcel."""
    status, location = visit.one("status") or WAITING[0], visit.one("location")
    if status not in WAITING:
        raise BadParameter("status", f"write one of {', '.join(WAITING)}")
    if text := (visit.one("q") or "").strip():
        return visit.go("/console/commands/shipment/pack", shipment=text, next="/console/shipping")
    query = {"status": status, "after": visit.one("after"), "limit": LIMIT}
    found = await visit.api.get("/v1/shipments", query)
    rows = [row for row in found["items"] if location in (None, row["location"])]
    given = {"status": status, **({"location": location} if location else {})}
    here = f"/console/shipping?{urlencode(given)}"
    shown = [{**row, "offers": _offers(visit, row, here)} for row in rows]
    return visit.page(
        "shipping.html",
        rows=shown,
        statuses=WAITING,
        state=status,
        location=location,
        locations=sorted({row["location"] for row in found["items"]}),
        waves=_waves(rows),
        more=found["next"] and f"{here}&{urlencode({'after': found['next']})}",
    )


def _offers(visit: Visit, row: Mapping[str, Any], here: str) -> Any:
    return offers_of(visit, "shipment", NEXT[row["status"]], {"shipment": row["shipment_id"]}, here)


def _waves(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, int, str]]:
    """Return the waves: the location, the number of parcels, and the address of the list."""
    found = []
    for location in sorted({row["location"] for row in rows}):
        there = [row["shipment_id"] for row in rows if row["location"] == location]
        for wave in (there[n : n + WAVE] for n in range(0, len(there), WAVE)):
            query = urlencode({"location": location, "parcel": wave}, doseq=True)
            found.append((location, len(wave), f"/console/shipping/list?{query}"))
    return found


async def pick_list(visit: Visit) -> Response:
    """Show a pick list. Raise BadParameter."""
    names, location = visit.many("parcel"), visit.one("location") or ""
    if not names:
        return visit.go("/console/shipping")
    if len(names) > WAVE or not location:
        raise BadParameter("parcel", f"name 1 to {WAVE} parcels, and their location")
    parcels = list(await asyncio.gather(*(_parcel(visit, n, one) for n, one in enumerate(names, 1))))
    counted: dict[str, dict[int, int]] = {}
    for parcel in parcels:
        for line in parcel.lines:
            of = counted.setdefault(line["sku"], {})
            of[parcel.number] = of.get(parcel.number, 0) + line["quantity"]
    picks = list(await asyncio.gather(*(_pick(visit, sku, location, of) for sku, of in counted.items())))
    picks.sort(key=lambda pick: (pick.bins, pick.sku))
    return visit.page("pick_list.html", location=location, picks=picks, parcels=parcels)


async def _parcel(visit: Visit, number: int, name: str) -> Parcel:
    row = await visit.api.get("/v1/shipments", {"shipment_id": name, "limit": "1"})
    lines = await visit.api.get("/v1/parcel-lines", {"shipment_id": name, "limit": LIMIT})
    if not row["items"]:
        raise BadParameter("parcel", "there is no such parcel; begin again from the shipping desk")
    return Parcel(number, row["items"][0], lines["items"], code_128(name))


async def _pick(visit: Visit, sku: str, location: str, of: Mapping[int, int]) -> Pick:
    """Return one pick; only bins with sellable units are named, and none to a person who may not see stock."""
    found = await visit.api.maybe("/v1/stock-places", {"sku": sku, "location": location, "limit": LIMIT})
    bins = {
        row["bin"] for row in (found or {"items": []})["items"] if row["quantity"] and row["condition"] == "sellable"
    }
    return Pick(", ".join(sorted(bins - {""})), sku, sum(of.values()), code_128(sku), sorted(of))


async def labels(visit: Visit) -> Response:
    """Redirect to the label if the parcel has one; otherwise list the labels of its cartons."""
    found = await visit.api.get(at("v1", "shipments", visit.values["shipment"], "labels"), {})
    if len(found["items"]) == 1:
        return visit.go(at("console", "documents", found["items"][0]["sha256"]))
    return visit.page("labels.html", labels=found["items"])


ROUTES: Any = (
    page("/shipping", "shipping", READ, waiting, "status", "location", "q", "after"),
    page("/shipping/list", "pick-list", READ, pick_list, "location", "parcel", many=("parcel",)),
    page("/shipping/labels/{shipment}", "labels", READ, labels),
)
