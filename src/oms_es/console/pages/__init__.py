"""The pages, by what they are about.

Imports: what `console` shares, and what `console` may import.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from oms_es.console.pages import bulk, commands, dead_letters, entry, health, inbox, order, orders, search, setup, stock
from oms_es.console.pages.desks import low_stock, returns, shipping
from oms_es.console.pages.finance import accounts, books, customer_accounts, documents
from oms_es.console.pages.findings import reports
from oms_es.console.pages.operating import keys, privacy, verify, what_if
from oms_es.console.visits import Visit
from oms_es.http.routing import Route

__all__ = ["nowhere", "routes"]


async def nowhere(visit: Visit) -> Response:
    """Redirect to the start page, for paths that have no page."""
    return visit.go("/console")


def routes() -> Sequence[Route]:
    return (
        *entry.ROUTES,
        *inbox.ROUTES,
        *search.ROUTES,
        *orders.ROUTES,
        *order.ROUTES,
        *bulk.routes(),
        *stock.ROUTES,
        *low_stock.ROUTES,
        *shipping.ROUTES,
        *returns.ROUTES,
        *health.ROUTES,
        *reports.routes(),
        *accounts.routes(),
        *books.ROUTES,
        *customer_accounts.ROUTES,
        *documents.ROUTES,
        *dead_letters.ROUTES,
        *setup.routes(),
        *verify.ROUTES,
        *what_if.ROUTES,
        *keys.ROUTES,
        *privacy.ROUTES,
        *commands.routes(),
    )
