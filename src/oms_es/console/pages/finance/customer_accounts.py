"""Accounts of customers and gift cards: the list with what is outstanding, and one with its entries.

Invariant: a gift card's code is on the page that answers its request, and on no other.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from pydantic import ValidationError
from starlette.responses import Response

from oms_es.console.inside import at
from oms_es.console.pages.commands import offers, offers_of
from oms_es.console.routes import form, page
from oms_es.console.visits import Visit
from oms_es.errors import OmsError
from oms_es.http.errors import NoResource
from oms_es.http.problems import problem

READ, WRITE = "finance:read", "finance:write"
HERE = "/console/accounts"
SHOWN = "50"
BEGINNINGS = ("issue-gift-card", "open")


async def listed(visit: Visit) -> Response:
    asked = {"after": visit.one("after"), "limit": SHOWN}
    found, is_new_enough = await visit.api.get_soon("/v1/accounts", asked, shows=visit.done)
    return visit.page(
        "finance/customer_accounts.html",
        rows=found["items"],
        more=found["next"] and f"{HERE}?{urlencode({'after': found['next']})}",
        outstanding=(await visit.api.get("/v1/outstanding-accounts"))["items"],
        offers=offers_of(visit, "account", BEGINNINGS, {}, HERE),
        is_new_enough=is_new_enough,
    )


async def one(visit: Visit) -> Response:
    return await _one(visit)


async def _one(visit: Visit, status: int = 200, **more: Any) -> Response:
    """Show an account with its last entries. Raise NoResource."""
    name = visit.values["account_id"]
    found, is_new_enough = await visit.api.get_soon("/v1/accounts", {"account_id": name}, shows=visit.done)
    if not found["items"]:
        raise NoResource("there is no such account; the list of accounts names them")
    row = found["items"][0]
    entries = await visit.api.get("/v1/account-entries", {"account_id": name, "descending": "true", "limit": SHOWN})
    return visit.page(
        "finance/customer_account.html",
        status,
        row=row,
        entries=entries["items"],
        base=at("console", "accounts", name),
        offers=offers(visit, "account", {"account_id": name}, row),
        is_new_enough=is_new_enough,
        may_write=visit.api.may(WRITE),
        **{"refusal": None, "made": None, **more},
    )


async def show_code(visit: Visit) -> Response:
    """Make a gift card's code; it is on the page that answers, and on no other."""
    body = {"replace": bool(visit.form.get("replace"))}
    try:
        _, made = await visit.api.post(at("v1", "gift-cards", visit.values["account_id"], verb="show-code"), body)
    except (OmsError, ValidationError) as error:
        refusal = problem(error, visit.asked.request_id)
        return await _one(visit, refusal["status"], refusal=refusal)
    return await _one(visit, made=made)


ROUTES = (
    page("/accounts", "accounts", READ, listed, "after"),
    page("/accounts/{account_id}", "customer-account", READ, one),
    form("/accounts/{account_id}:show-code", "show-code", WRITE, show_code),
)
