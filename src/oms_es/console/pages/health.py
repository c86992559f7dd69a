"""The state of the engine: roles that stopped, and why; roles that are behind; what waits for a person."""

from __future__ import annotations

from starlette.responses import Response

from oms_es.console.routes import page
from oms_es.console.visits import Visit


async def health(visit: Visit) -> Response:
    found = await visit.api.get("/v1/roles")
    groups, kinds = await visit.api.every(("/v1/dead-letters/groups", {}), ("/v1/exceptions/kinds", {}))
    roles = sorted(found["roles"], key=lambda role: (not role["stopped"], -role["behind"], role["role"]))
    return visit.page(
        "health.html",
        found=found,
        roles=roles,
        dead_letters=sum(group["open"] for group in (groups or {"items": []})["items"]),
        exceptions=sum(kind["open"] for kind in (kinds or {"items": []})["items"]),
    )


ROUTES = (page("/health", "health", "operations:read", health),)
