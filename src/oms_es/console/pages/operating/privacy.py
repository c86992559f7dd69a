"""The page of those who answer for the protection of personal data: whose orders and accounts these are, forgetting,
legal holds.

Invariant: what is listed changes nothing. A form names the order, the customer or the account, and what was shown:
where others hang together by then, nothing is done, and a person looks again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import ValidationError
from starlette.responses import Response

from oms_es.console.inside import at
from oms_es.console.routes import form, page
from oms_es.console.visits import Visit
from oms_es.errors import OmsError
from oms_es.http.access import PERSONAL
from oms_es.http.errors import BadParameter
from oms_es.http.problems import problem
from oms_es.http.writing.privacy import READ, WRITE
from oms_es.schemas.order.forgetting import ForgetReason, LegalHoldReason

HERE = "/console/privacy"
NEWEST = {"limit": "50", "descending": "true"}
FORGOTTEN = {**NEWEST, "position[gte]": "0"}
HOLDS = {**NEWEST, "placed_at[gte]": "1970-01-01T00:00:00Z"}
"""With the columns by which their indexes order them."""
KINDS = {"order": "orders", "customer": "customers", "account": "accounts"}
VERBS = ("forget", "hold", "release")


async def listed(visit: Visit) -> Response:
    return await _page(visit, {kind: visit.one(kind) or "" for kind in KINDS})


async def _page(visit: Visit, asked: Mapping[str, str], status: int = 200, refusal: Any = None) -> Response:
    found, is_new_enough = None, True
    if any(asked.values()) and refusal is None:
        try:
            found, is_new_enough = await visit.api.get_soon(_path(asked), shows=visit.done)
        except OmsError as error:
            refusal = problem(error, visit.asked.request_id)
            status = refusal["status"]
    forgotten, holds = await visit.api.every(("/v1/forgotten-orders", FORGOTTEN), ("/v1/legal-holds", HOLDS))
    return visit.page(
        "privacy.html",
        status,
        asked=asked,
        found=found,
        is_new_enough=is_new_enough,
        refusal=refusal,
        may_write=visit.api.may(WRITE),
        may_export=visit.api.may(WRITE) and visit.api.may(PERSONAL),
        reasons=get_args(ForgetReason),
        hold_reasons=get_args(LegalHoldReason),
        forgotten=forgotten["items"] if forgotten else [],
        holds=holds["items"] if holds else [],
    )


def _path(asked: Mapping[str, str], *more: str, verb: str = "") -> str:
    """Return the path of the API for whom a form names. Raise BadParameter unless it names exactly one."""
    given = [(kind, name.strip()) for kind, name in asked.items() if name.strip()]
    if len(given) != 1:
        raise BadParameter("order", "name an order, a customer or an account, one of them")
    kind, name = given[0]
    return at("v1", "privacy", KINDS[kind], name.replace("/", "~", 1), *more, verb=verb)


async def give(visit: Visit) -> Response:
    """Forget, hold or release. A refusal is shown above the form."""
    asked = {kind: visit.form.get(kind, "") for kind in KINDS}
    body: dict[str, Any] = {
        name: value for name in ("reason", "case_id") if (value := visit.form.get(name, "").strip())
    }
    body["order_ids"] = visit.form.get("shown", "").split()
    body["account_ids"] = visit.form.get("shown_accounts", "").split()
    verb = visit.form.get("verb", "")
    try:
        if verb not in VERBS:
            raise BadParameter("verb", f"choose one of {', '.join(VERBS)}")
        _, done = await visit.api.post(_path(asked, verb=verb), body)
    except (OmsError, ValidationError) as error:
        refusal = problem(error, visit.asked.request_id)
        return await _page(visit, asked, refusal["status"], refusal)
    named = {kind: name for kind, name in asked.items() if name}
    return visit.go(HERE, **named, done=done["position"] or 0)


async def export(visit: Visit) -> Response:
    """Answer with the export as a file."""
    asked = {kind: visit.one(kind) or "" for kind in KINDS}
    response = await visit.api.whole(_path(asked, "export"))
    response.headers["Content-Disposition"] = 'attachment; filename="person.json"'
    return response


ROUTES = (
    page("/privacy", "privacy", READ, listed, *KINDS),
    page("/privacy/export", "privacy-export", WRITE, export, *KINDS),
    form("/privacy", "privacy-give", WRITE, give),
)
