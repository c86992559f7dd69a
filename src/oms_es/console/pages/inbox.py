"""Open exceptions by kind, each with its assignee and the commands that settle it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from oms_es.console import settling
from oms_es.console.inside import at
from oms_es.console.pages.commands import Offer, catalogue, offers_of
from oms_es.console.routes import form, page
from oms_es.console.visits import Visit
from oms_es.http.access import PLACE, ROLES
from oms_es.http.errors import BadParameter
from oms_es.reports.operations.exceptions import DUPLICATE

FILTERS = ("kind", "assignee", "order", "snoozed")
HOURS = (1, 4, 24, 72, 168, 720)
"""Hours for which an exception may be snoozed; the last is the most that the engine allows."""
LIMIT = "50"
WRITE = "operations:write"
OPERATOR = "operator"
PEOPLE = ("support", "warehouse", "finance")
"""Roles of people who work on the inbox. An operator may give every command, and is named where no other role may."""
NOTHING: Mapping[str, Any] = {}


async def inbox(visit: Visit) -> Response:
    chosen = {name: visit.one(name) for name in FILTERS}
    query = {**chosen, "after": visit.one("after"), "limit": LIMIT}
    kinds = (await visit.api.get("/v1/exceptions/kinds"))["items"]
    found, _ = await visit.api.get_soon("/v1/exceptions", query, shows=visit.done)
    given = {name: value for name, value in chosen.items() if value}
    more = found["next"] and f"/console/inbox?{urlencode({**given, 'after': found['next']})}"
    differing = await _differing(visit, found["items"])
    party = visit.texts.under("party")
    rows = [
        {
            **row,
            "offers": _settling(visit, row),
            "look": _look(visit, row),
            "acts": [party[who] for who in acts(row)],
            "differs": differing.get(row["exception_id"], []),
        }
        for row in found["items"]
    ]
    return visit.page(
        "inbox.html",
        kinds=kinds,
        hours=HOURS,
        rows=rows,
        more=more,
        chosen=given,
        may_write=visit.api.may(WRITE),
        may_amend=visit.api.may(PLACE),
        kind_of=settling.kind_of,
    )


async def _differing(visit: Visit, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Return the differences of orders that were sent again with other content, by the exception's id."""
    ids = [row["exception_id"] for row in rows if row["kind"] == DUPLICATE]
    found = await visit.api.every(*((at("v1", "exceptions", one), NOTHING) for one in ids))
    return {name: one["differences"] for name, one in zip(ids, found, strict=True) if one}


def _settling(visit: Visit, row: Mapping[str, Any]) -> list[Offer]:
    """Return the offers that settle the exception, filled with what it is about."""
    values, here = settling.values_of(row), _here(visit)
    found = [offers_of(visit, group, (verb,), values, here) for group, verb in settling.commands_for(row)]
    return [offer for some in found for offer in some]


def acts(row: Mapping[str, Any]) -> list[str]:
    """Return the roles whose keys may give the commands that settle the exception."""
    scopes = {catalogue()[one].route.scope for one in settling.commands_for(row)}
    return [role for role in PEOPLE if scopes & ROLES[role]] or [OPERATOR]


def _look(visit: Visit, row: Mapping[str, Any]) -> tuple[str, str] | None:
    look = settling.looks_at(row)
    if look is None or not visit.api.may(look.scope):
        return None
    path = at(*look.path)
    return look.key, f"{path}?{urlencode(look.query)}" if look.query else path


def _here(visit: Visit) -> str:
    """Return the address of this list with its filters: a command leads back to it."""
    given = {name: value for name in FILTERS if (value := visit.one(name))}
    return f"/console/inbox?{urlencode(given)}" if given else "/console/inbox"


async def assign(visit: Visit) -> Response:
    return await _given(visit, "assign", ("assignee", "note"))


async def resolve(visit: Visit) -> Response:
    return await _given(visit, "resolve", ("note",))


async def snooze(visit: Visit) -> Response:
    """Snooze an exception. Raise BadParameter.

    The end is rounded to the minute, so that a form that is sent twice gives the same command.
    """
    hours = visit.form.get("hours", "")
    if hours not in {str(count) for count in HOURS}:
        raise BadParameter("hours", f"choose one of {', '.join(map(str, HOURS))}")
    until = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(hours=int(hours))
    return await _given(visit, "snooze", ("note",), {"until": until})


async def take(visit: Visit) -> Response:
    """Settle that an order was sent again with other content, by one of the two versions. Raise BadParameter."""
    given = visit.form
    exception_id = _named(given)
    body = {name: given.get(name, "").strip() for name in ("side", "note", "raised_at")}
    _, done = await visit.api.post(at("v1", "exceptions", exception_id, verb="take"), body)
    return _back(visit, done)


def _named(given: Mapping[str, str]) -> str:
    """Return the exception's id. Raise BadParameter."""
    if not given.get("exception_id"):
        raise BadParameter("exception_id", "say which")
    return given["exception_id"]


async def _given(visit: Visit, verb: str, names: tuple[str, ...], more: Mapping[str, Any] = NOTHING) -> Response:
    """Give a command about the exception as the page showed it; one that was raised again since then stays open.

    Raise BadParameter.
    """
    given = visit.form
    exception_id = _named(given)
    same = {name: given.get(name, "") for name in ("raised_at", "order_id", "detail")}
    body = {**same, **{name: given.get(name, "").strip() for name in names}, **more}
    _, done = await visit.api.post(at("v1", "exceptions", exception_id, verb=verb), body)
    return _back(visit, done)


def _back(visit: Visit, done: Mapping[str, Any]) -> Response:
    """Return to the list with its filters, as it is after what was done."""
    filters = {name: visit.form.get(f"only_{name}") or None for name in FILTERS}
    return visit.go("/console/inbox", **filters, done=done["position"] or 0)


ROUTES = (
    page("/inbox", "inbox", "operations:read", inbox, *FILTERS, "after"),
    form("/inbox/assign", "inbox-assign", WRITE, assign),
    form("/inbox/snooze", "inbox-snooze", WRITE, snooze),
    form("/inbox/resolve", "inbox-resolve", WRITE, resolve),
    form("/inbox/take", "inbox-take", WRITE, take),
)
