"""What a person must look at, by kind, with who sees to it, and what settles it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from oms_es.console.inside import at
from oms_es.console.pages.commands import Offer, offers_of
from oms_es.console.routes import form, page
from oms_es.console.visits import Visit
from oms_es.http.errors import BadParameter

FILTERS = ("kind", "assignee", "order")
LIMIT = "50"
WRITE = "operations:write"
SETTLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "backordered": (("order", "retry-sourcing"), ("order", "assign"), ("order", "cancel-lines"), ("order", "cancel")),
    "hold_overdue": (("order", "release-hold"), ("order", "hold"), ("order", "cancel")),
    "held": (("order", "release-hold"), ("order", "cancel")),
    "duplicate_conflict": (("order", "amend"),),
    "cancellation_refused": (("order", "request-return"), ("order", "refund")),
    "amendment_refused": (("order", "amend"), ("order", "cancel")),
    "channel_contradiction": (("order", "record-fulfilment"), ("order", "override")),
    "credit_refused": (("order", "refund"),),
    "captured_short": (("order", "retry-payment"),),
    "refund_failed": (("order", "refund"),),
    "booking_failed": (("shipment", "book"),),
    "dispatch_overdue": (("shipment", "pack"), ("shipment", "book"), ("shipment", "declare-lost")),
    "parcel_silent": (("shipment", "declare-lost"),),
    "delivery_exception": (("shipment", "declare-lost"),),
    "cancellation_unanswered": (("shipment", "cancel-booking"),),
    "return_review": (("return", "approve"), ("return", "refuse")),
    "subscription_disabled": (("subscriptions", "enable"),),
}
"""What mostly settles a kind; the others are looked at, and resolved by saying what was done."""
NAMED_BY: Mapping[str, str] = {"shipment": "shipment", "return": "return", "subscriptions": "name"}


async def inbox(visit: Visit) -> Response:
    chosen = {name: visit.one(name) for name in FILTERS}
    query = {**chosen, "after": visit.one("after"), "limit": LIMIT}
    kinds = (await visit.api.get("/v1/exceptions/kinds"))["items"]
    found, _ = await visit.api.get_soon("/v1/exceptions", query, shows=visit.done)
    given = {name: value for name, value in chosen.items() if value}
    more = found["next"] and f"/console/inbox?{urlencode({**given, 'after': found['next']})}"
    rows = [{**row, "offers": _settling(visit, row)} for row in found["items"]]
    return visit.page("inbox.html", kinds=kinds, rows=rows, more=more, chosen=given, may_write=visit.api.may(WRITE))


def _settling(visit: Visit, row: Mapping[str, Any]) -> list[Offer]:
    kind = "held" if row["kind"].startswith("held_") else row["kind"]
    subject = row["exception_id"].split("/")[1] if "/" in row["exception_id"] else ""
    values = {"order": row["order_id"], "kind": row["exception_id"].split("/")[0].removeprefix("held_")}
    found = []
    for group, verb in SETTLES.get(kind, ()):
        given = values if group == "order" else {NAMED_BY[group]: subject}
        found += offers_of(visit, group, (verb,), given)
    return found


async def assign(visit: Visit) -> Response:
    return await _given(visit, "assign", ("assignee", "note"))


async def resolve(visit: Visit) -> Response:
    return await _given(visit, "resolve", ("note",))


async def _given(visit: Visit, verb: str, names: tuple[str, ...]) -> Response:
    """Of the exception as the page showed it: what was raised since is open still. Raises BadParameter."""
    given = visit.form
    if not given.get("exception_id"):
        raise BadParameter("exception_id", "say which")
    same = {name: given.get(name, "") for name in ("raised_at", "order_id", "detail")}
    body = {**same, **{name: given.get(name, "").strip() for name in names}}
    _, done = await visit.api.post(at("v1", "exceptions", given["exception_id"], verb=verb), body)
    filters = {name: given.get(f"only_{name}") or None for name in FILTERS}
    return visit.go("/console/inbox", **filters, done=done["position"] or 0)


ROUTES = (
    page("/inbox", "inbox", "operations:read", inbox, *FILTERS, "after"),
    form("/inbox/assign", "inbox-assign", WRITE, assign),
    form("/inbox/resolve", "inbox-resolve", WRITE, resolve),
)
