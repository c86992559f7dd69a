"""Verification of the whole history on request, with its progress and result."""

from __future__ import annotations

from starlette.responses import Response

from oms_es.console.routes import form, page
from oms_es.console.visits import Visit

READ, WRITE = "operations:read", "operations:write"
HERE = "/console/verify"


async def show(visit: Visit) -> Response:
    """Show the last verification, failed checks first."""
    found = await visit.api.get("/v1/verification")
    checks = sorted(found.get("checks", ()), key=lambda check: not check["failed"])
    return visit.page("verify.html", found=found, checks=checks, may_write=visit.api.may(WRITE))


async def run(visit: Visit) -> Response:
    await visit.api.post("/v1/verification:run", {})
    return visit.go(HERE)


async def cancel(visit: Visit) -> Response:
    await visit.api.post("/v1/verification:cancel", {})
    return visit.go(HERE)


ROUTES = (
    page("/verify", "verify", READ, show),
    form("/verify:run", "verify-run", WRITE, run),
    form("/verify:cancel", "verify-cancel", WRITE, cancel),
)
