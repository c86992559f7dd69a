"""Keys: the list, and forms to create, rotate and revoke them; a secret is shown once. And who is signed in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

from oms_es.console.inside import at
from oms_es.console.routes import form, page
from oms_es.console.visits import Visit
from oms_es.errors import OmsError
from oms_es.http.access import KEYS, ROLES
from oms_es.http.problems import problem

NAMES = ("roles", "scopes", "channels")


async def listed(visit: Visit) -> Response:
    return await _page(visit)


async def _page(visit: Visit, status: int = 200, **more: Any) -> Response:
    found = await visit.api.get("/v1/keys")
    signed_in = await visit.api.get("/v1/sessions")
    shown = {"refusal": None, "given": {}, "made": None, **more}
    mine = visit.asked.caller.scopes
    roles = [name for name, scopes in ROLES.items() if scopes <= mine]
    return visit.page(
        "keys.html", status, keys=found["items"], sessions=signed_in["items"], roles=roles, scopes=sorted(mine), **shown
    )


async def make(visit: Visit) -> Response:
    """Create a key; its secret is on the page that answers, and on no other."""
    given = {name: value for name in ("label", *NAMES, "days") if (value := visit.form.get(name, "").strip())}
    body: dict[str, Any] = {"label": given.get("label", "")}
    body |= {name: given[name].replace(",", " ").split() for name in NAMES if name in given}
    if days := given.get("days"):
        body["days"] = int(days) if days.isascii() and days.isdecimal() else days
    return await _given(visit, "/v1/keys", body, given)


async def rotate(visit: Visit) -> Response:
    return await _given(visit, at("v1", "keys", visit.values["key"], verb="rotate"), {}, {})


async def _given(visit: Visit, path: str, body: Mapping[str, Any], given: Mapping[str, str]) -> Response:
    try:
        _, made = await visit.api.post(path, body)
    except (OmsError, ValidationError) as error:
        refusal = problem(error, visit.asked.request_id)
        return await _page(visit, refusal["status"], refusal=refusal, given=given)
    return await _page(visit, made=made)


async def revoke(visit: Visit) -> Response:
    await visit.api.post(at("v1", "keys", visit.values["key"], verb="revoke"), {})
    return visit.go("/console/keys")


async def end_session(visit: Visit) -> Response:
    """End a session, perhaps the person's own."""
    await visit.api.post(at("v1", "sessions", visit.values["session"], verb="end"), {})
    return visit.go("/console/keys")


ROUTES = (
    page("/keys", "keys", KEYS, listed),
    form("/keys", "keys-make", KEYS, make),
    form("/keys/{key}:rotate", "keys-rotate", KEYS, rotate),
    form("/keys/{key}:revoke", "keys-revoke", KEYS, revoke),
    form("/sessions/{session}:end", "sessions-end", KEYS, end_session),
)
