"""The books: the trial balance of a period, and the postings of an account. Both are folded on request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from oms_es.books.chart import MEANING
from oms_es.console.inside import at
from oms_es.console.routes import page
from oms_es.console.visits import Visit

READ = "finance:read"
PERIOD = ("from", "to", "currency")
LIMIT = "100"
PATH = "/console/books"


async def trial_balance(visit: Visit) -> Response:
    given = _given(visit)
    found = await visit.api.get("/v1/books/trial-balance", given)
    if found.get("state") == "running":
        return _waiting(visit, found, PATH)
    query = f"?{urlencode(given)}" if given else ""
    accounts = found["accounts"]
    rows = [(row, f"{at('console', 'books', row['account'])}{query}", _meaning(row["account"])) for row in accounts]
    return visit.page("finance/books.html", found=found, rows=rows, given=given)


async def account(visit: Visit) -> Response:
    given, name = _given(visit), visit.values["account"]
    here = at("console", "books", name)
    query = {**given, "after": visit.one("after"), "limit": LIMIT}
    found = await visit.api.get(at("v1", "books", "accounts", name), query)
    if found.get("state") == "running":
        return _waiting(visit, found, here)
    more = found["next"] and f"{here}?{urlencode({**given, 'after': found['next']})}"
    sums = [
        (currency, found["opening_minor"][currency], closing) for currency, closing in found["closing_minor"].items()
    ]
    return visit.page(
        "finance/book.html", name=name, meaning=_meaning(name), rows=found["items"], sums=sums, given=given, more=more
    )


def _given(visit: Visit) -> dict[str, str]:
    return {name: value for name in PERIOD if (value := visit.one(name))}


def _meaning(account: str) -> str:
    """Return the meaning of an account: of the longest prefix of its name that the chart has."""
    parts = account.split(":")
    names = (":".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((MEANING[name] for name in names if name in MEANING), "")


def _waiting(visit: Visit, found: Mapping[str, Any], back: str) -> Response:
    """Show the progress; the page reloads by itself, or when the person reloads it."""
    return visit.page("waiting.html", 202, found=found, back=back)


ROUTES = (
    page("/books", "books", READ, trial_balance, *PERIOD),
    page("/books/{account}", "book", READ, account, *PERIOD, "after"),
)
