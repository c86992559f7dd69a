"""What-if runs: draft rules tried on history, with progress, result, and both histories of an order."""

from __future__ import annotations

from starlette.responses import Response

from oms_es.console.inside import at
from oms_es.console.rendering import as_json
from oms_es.console.routes import form, page
from oms_es.console.visits import Visit

READ, WRITE = "orders:read", "catalog:write"
LOCATIONS = ("parcels", "freight_minor", "stock_outs")
ORDERS_SHOWN = 100


async def show(visit: Visit) -> Response:
    """Show a run. Raise what the run raised."""
    found = await visit.api.get(at("v1", "what-if", visit.values["run"]))
    rules = found.get("changed", {}).get("rules")
    return visit.page(
        "what_if.html",
        found=found,
        columns=LOCATIONS,
        orders=found.get("orders", [])[:ORDERS_SHOWN],
        version=visit.one("version") or "",
        draft=None if rules is None else as_json(rules),
    )


async def story(visit: Visit) -> Response:
    run, order = visit.values["run"], visit.values["order"]
    found = await visit.api.get(at("v1", "what-if", run, "orders", order))
    called = await visit.api.maybe(at("v1", "orders", order))
    return visit.page("what_if_order.html", run=run, steps=found["steps"], order=called or {"order_id": order})


async def cancel(visit: Visit) -> Response:
    path = at("v1", "what-if", visit.values["run"], verb="cancel")
    await visit.api.post(path, {})
    return visit.go("/console/setup/rules")


ROUTES = (
    page("/what-if/{run}", "what-if", WRITE, show, "version"),
    form("/what-if/{run}:cancel", "what-if-cancel", WRITE, cancel),
    page("/what-if/{run}/orders/{order}", "what-if-order", READ, story),
)
