"""The returns desk: what is expected, received line by line, inspected, and what the customer gets for it.

Invariant: what is filled in here goes through the command's own form, and is previewed first.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from oms_es.console.forms import ROWS_MAX
from oms_es.console.inside import at
from oms_es.console.pages.commands import catalogue, fields_of, give, offers_of
from oms_es.console.routes import form, page
from oms_es.console.visits import Visit
from oms_es.errors import NotFound
from oms_es.kernel import Refused
from oms_es.projections.returns.returns import STATUSES

READ, WRITE = "returns:read", "returns:write"
LIMIT = "50"
DISPOSED: Mapping[str, str] = {
    "as_new": "sellable",
    "opened": "sellable",
    "damaged": "damaged",
    "defective": "quarantine",
}
"""The proposed condition of goods by their grade; the person may choose another."""


DECISIONS: Mapping[str, tuple[str, ...]] = {
    "opened": ("approve", "refuse"),
    "review": ("approve", "refuse"),
    "approved": ("refuse", "close"),
}
"""Commands that decide about a return, by its status."""


async def listed(visit: Visit) -> Response:
    """List returns; a scanned code leads to its return, or to the returns of its order."""
    text, status = (visit.one("q") or "").strip(), visit.one("status")
    query: dict[str, str | None] = {"status": status, "after": visit.one("after"), "limit": LIMIT}
    if text:
        if await _is_return(visit, text):
            return visit.go(at("console", "returns", text))
        query = {"order_id": await _order_of(visit, text) or text, "limit": LIMIT}
    found = await visit.api.get("/v1/returns", {**query, "descending": "true"})
    given = {"status": status} if status else {}
    more = found["next"] and f"/console/returns?{urlencode({**given, 'after': found['next']})}"
    if text and len(found["items"]) == 1:
        return visit.go(at("console", "returns", found["items"][0]["rma_id"]))
    return visit.page("returns.html", rows=found["items"], more=more, statuses=STATUSES, state=status, text=text)


async def _is_return(visit: Visit, text: str) -> bool:
    try:
        await visit.api.get(at("v1", "returns", text))
    except NotFound:
        return False
    return True


async def _order_of(visit: Visit, text: str) -> str | None:
    try:
        found = await visit.api.maybe(at("v1", "orders", text.replace("/", "~", 1)))
    except (NotFound, Refused):
        return None
    return str(found["order_id"]) if found else None


async def one(visit: Visit) -> Response:
    """Show one return. Raise NoResource."""
    name = visit.values["return"]
    found, is_new_enough = await visit.api.get_soon(at("v1", "returns", name), shows=visit.done)
    order = await visit.api.maybe(at("v1", "orders", found["order_id"]), {"expand": "lines"})
    locations = await visit.api.maybe("/v1/locations", {"limit": "250"})
    prices = {line["line_id"]: line["unit_price_minor"] for line in (order or {}).get("lines", ())}
    inspected = next(field for field in fields_of(catalogue()["return", "inspect"]) if field.name == "lines")
    parts = {part.name: part for part in inspected.parts}
    return visit.page(
        "return.html",
        rma=found,
        order=order,
        prices=prices,
        locations=[row["location"] for row in (locations or {"items": []})["items"]],
        grades=parts["grade"].choices,
        dispositions=parts["disposition"].choices,
        disposed=DISPOSED,
        fresh=f"desk-{secrets.token_hex(4)}",
        may_write=visit.api.may(WRITE),
        offers=offers_of(
            visit, "return", DECISIONS.get(found["status"], ()), {"return": name}, at("console", "returns", name)
        ),
        is_new_enough=is_new_enough,
    )


async def receive(visit: Visit) -> Response:
    return await _looked_at(visit, "receive")


async def inspect(visit: Visit) -> Response:
    return await _looked_at(visit, "inspect")


async def _looked_at(visit: Visit, verb: str) -> Response:
    """Preview the command, without lines that have no quantity."""
    empty = {f"lines.{n}." for n in range(ROWS_MAX) if not visit.form.get(f"lines.{n}.quantity", "").strip("0 ")}
    kept = {name: value for name, value in visit.form.items() if not name.startswith(tuple(empty))}
    name = visit.values["return"]
    visit.form = {**kept, "return": name, "step": "preview", "next": at("console", "returns", name)}
    return await give(catalogue()["return", verb], visit)


ROUTES: Any = (
    page("/returns", "returns", READ, listed, "q", "status", "after"),
    page("/returns/{return}", "return", READ, one),
    form("/returns/{return}/receive", "return-receive", WRITE, receive),
    form("/returns/{return}/inspect", "return-inspect", WRITE, inspect),
)
