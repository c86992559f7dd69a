"""One order: its status, what it waits for, its timeline as a picture and a list, its parts, and the
commands for them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from oms_es.console import comparing, maps, settling, timeline
from oms_es.console.inside import at
from oms_es.console.pages.commands import Offer, offers, offers_of
from oms_es.console.pages.finance.documents import Papers, Subject, papers
from oms_es.console.routes import form, page
from oms_es.console.visits import Visit
from oms_es.http.access import EVENTS, PERSONAL

PARTS = ("lines", "payments", "shipments", "returns", "exceptions", "timeline", "needs")
OF_THEN = ("lines", "payments", "shipments")
EVENTS_SHOWN = "100"
WRITE = "orders:write"
NOTED = "OrderNoteAdded"


async def order(visit: Visit) -> Response:
    """Show one order. Raise Refused if there is no such order."""
    name, moment = visit.values["order"], visit.one("at")
    wants_address = visit.one("address") == "shown" and visit.api.may(PERSONAL)
    expand = [*(PARTS if moment is None else OF_THEN), *(["ship_to"] if wants_address else [])]
    query = {"expand": expand, "at": moment}
    found, is_new_enough = await visit.api.get_soon(at("v1", "orders", name), query, shows=visit.done)
    found = {"needs": [], "returns": [], **found}
    now = found if moment is None else await visit.api.get(at("v1", "orders", name), {"expand": [*OF_THEN, "timeline"]})
    called = f"{found['channel']}/{found['external_id']}"
    return visit.page(
        "order.html",
        notes=await _notes(visit, name, found["timeline"], moment),
        is_noted=any(row["event"] == NOTED for row in found["timeline"]),
        note_id=f"console-{secrets.token_hex(8)}",
        may_note=moment is None and visit.api.may(WRITE),
        order=found,
        called=called,
        moment=moment,
        picture=timeline.picture(
            now["timeline"], found["order_id"], found["external_id"], moment, visit.texts.under("lane")
        ),
        is_minor=timeline.is_minor,
        is_bad=timeline.is_bad,
        ticks=comparing.ticks(now["timeline"], moment),
        facts=comparing.of_order(found, now, found["order_id"]) if moment else [],
        first=_offers(visit, found) if moment is None else [],
        needs=[(need, _ends(visit, found["order_id"], need)) for need in found["needs"]],
        papers=await _papers(visit, found) if moment is None else None,
        is_new_enough=is_new_enough,
        may_follow=visit.api.may(EVENTS),
    )


async def _notes(
    visit: Visit, name: str, timeline: list[Mapping[str, Any]], moment: str | None
) -> list[Mapping[str, Any]]:
    """Return the order's notes, if it has any and the person may see personal data; reading them is recorded."""
    if not visit.api.may(PERSONAL) or all(row["event"] != NOTED for row in timeline):
        return []
    notes: list[Mapping[str, Any]] = (await visit.api.get(at("v1", "orders", name), {"expand": "notes", "at": moment}))[
        "notes"
    ]
    return notes


async def _papers(visit: Visit, found: Mapping[str, Any]) -> Papers | None:
    """Return the documents of the order, its payments and its parcels."""
    order_id = found["order_id"]
    parts = (("payment", "payments"), ("shipment", "shipments"))
    subjects = [Subject("order", order_id, f"{found['channel']}/{found['external_id']}")]
    for entity, many in parts:
        ids = [one[f"{entity}_id"] for one in found[many]]
        subjects += [Subject(entity, name, name.removeprefix(f"{order_id}.")) for name in ids]
    return await papers(visit, {"order": order_id}, subjects, at("console", "orders", order_id))


async def add_note(visit: Visit) -> Response:
    """Add a note; sent twice, it is added once, as the page gave it its id."""
    path = at("v1", "orders", visit.values["order"], verb="add-note")
    body = {name: visit.form.get(name, "").strip() for name in ("note_id", "note_text")}
    _, done = await visit.api.post(path, body)
    return visit.go(at("console", "orders", visit.values["order"]), done=done["position"] or 0)


def _offers(visit: Visit, found: dict[str, Any]) -> list[tuple[str, str, list[Offer]]]:
    """Return the offers for the order and for its parts, with the group and name of each part."""
    groups = [("order", "", {"order": found["order_id"]})]
    groups += [("shipment", one["shipment_id"], {"shipment": one["shipment_id"]}) for one in found["shipments"]]
    groups += [("return", one["rma_id"], {"return": one["rma_id"]}) for one in found["returns"]]
    offered = [(group, name, offers(visit, group, values, found)) for group, name, values in groups]
    return [one for one in offered if one[2]]


def _ends(visit: Visit, order_id: str, need: Mapping[str, Any]) -> list[Offer]:
    """Return the offer for the command that ends a wait, if the person may give it; it leads back to the order."""
    group, _, verb = settling.ENDS.get(need["says"], "").partition(".")
    values = {**need["parameters"], "order": order_id}
    return offers_of(visit, group, (verb,), values, at("console", "orders", order_id))


async def why(visit: Visit) -> Response:
    """Show why the order ships from where it does. Its destination is on the map only on request, which is recorded."""
    name = visit.values["order"]
    wants_address = visit.one("address") == "shown" and visit.api.may(PERSONAL)
    found = await visit.api.get(at("v1", "orders", name), {"expand": "ship_to" if wants_address else None})
    steps = (await visit.api.get(at("v1", "orders", name, "why")))["items"]
    locations = await visit.api.maybe("/v1/locations", {"limit": "250"})
    return visit.page(
        "why.html",
        order=found,
        called=f"{found['channel']}/{found['external_id']}",
        steps=steps,
        map=maps.drawn(locations["items"] if locations else [], _decision(steps), _coordinates(found)),
        is_shown=wants_address,
    )


def _decision(steps: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the last sourcing decision, of the engine or of a person, or an empty map."""
    made: list[Mapping[str, Any]] = [
        step["event"] for step in steps if step["name"] in ("OrderSourced", "OrderAssigned")
    ]
    return made[-1] if made else {}


def _coordinates(found: Mapping[str, Any]) -> tuple[float, float] | None:
    to = found.get("ship_to") or {}
    latitude, longitude = to.get("latitude"), to.get("longitude")
    return None if latitude is None or longitude is None else (latitude, longitude)


async def events(visit: Visit) -> Response:
    name = visit.values["order"]
    found = await visit.api.get(at("v1", "orders", name))
    page_of = await visit.api.get(
        at("v1", "orders", name, "events"), {"after": visit.one("after"), "limit": EVENTS_SHOWN}
    )
    return visit.page(
        "events.html",
        order=found,
        called=f"{found['channel']}/{found['external_id']}",
        events=page_of["items"],
        next=page_of["next"],
    )


ROUTES = (
    page("/orders/{order}", "order", "orders:read", order, "at", "address"),
    form("/orders/{order}/notes", "order-note", WRITE, add_note),
    page("/orders/{order}/why", "why", "orders:read", why, "address"),
    page("/orders/{order}/events", "events", EVENTS, events, "after"),
)
