"""One command for all orders of a filter: counted and previewed first, then given to each order, with its outcome.

Invariant: a run follows the orders' own positions in the filter; therefore its changes neither hide an order from it
nor show one twice. Each order has an idempotency key of the run; therefore a part that is sent again is done once.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from pydantic import ValidationError
from starlette.responses import Response

from oms_es.console import forms
from oms_es.console.inside import at
from oms_es.console.pages.commands import Command, catalogue, fields_of, wrong_of
from oms_es.console.pages.orders import FILTER, FOR_ALL, filter_of, query_of
from oms_es.console.routes import form, page
from oms_es.console.visits import Visit
from oms_es.errors import OmsError
from oms_es.http.errors import BadParameter
from oms_es.http.problems import problem
from oms_es.http.routing import Route

PART = 50
"""Orders of one part: the person sees the outcomes of a part before the next begins."""
COUNTED_MAX = 2_000
COUNTED_AT_A_TIME = 250
TALLIES = ("changed", "same", "refused")


class Outcome(NamedTuple):
    """The outcome for one order. `tally`: one of TALLIES."""

    row: Mapping[str, Any]
    tally: str
    detail: str


async def show(command: Command, visit: Visit) -> Response:
    """The number of orders in the filter, and the form of the command for all of them."""
    chosen = filter_of(visit.many, visit.one)
    return await _form(visit, command, chosen, {})


async def _form(
    visit: Visit, command: Command, chosen: Mapping[str, list[str]], given: Mapping[str, str], **more: Any
) -> Response:
    count, is_more = await _count(visit, chosen)
    shown = {"refusal": None, "outcomes": [], "run": "", "after": None, "is_done": False, "so_far": {}, **more}
    return visit.page(
        "bulk.html",
        shown["refusal"]["status"] if shown["refusal"] else 200,
        command=command,
        target=_path(command),
        fields=_fields(command),
        given=given,
        wrong=wrong_of(shown["refusal"]),
        chosen=chosen,
        filter=urlencode(chosen, doseq=True),
        count=count,
        is_more=is_more,
        tallies=TALLIES,
        part=PART,
        **shown,
    )


async def _count(visit: Visit, chosen: Mapping[str, list[str]]) -> tuple[int, bool]:
    """Return the number of orders in the filter, and whether there are more than were counted."""
    count, after = 0, None
    while count < COUNTED_MAX:
        query = {**query_of(chosen), "limit": str(COUNTED_AT_A_TIME), "after": after}
        found = await visit.api.get("/v1/orders", query)
        count, after = count + len(found["items"]), found["next"]
        if after is None:
            return count, False
    return count, True


async def give(command: Command, visit: Visit) -> Response:
    """Preview or do a part of the run. `step` is "preview" (the first part) or "do" (the part after `after`).

    Raise BadParameter.
    """
    chosen = _sent_filter(visit.form.get("filter", ""))
    given = {field.name: visit.form.get(field.name, "") for field in _fields(command)}
    body = forms.body_of(_fields(command), given)
    is_done = visit.form.get("step") == "do"
    run, after = visit.form.get("run") or secrets.token_hex(16), visit.form.get("after") or None
    found = await visit.api.get("/v1/orders", {**query_of(chosen), "limit": str(PART), "after": after})
    outcomes: list[Outcome] = []
    for row in found["items"]:
        try:
            outcomes.append(await _outcome(visit, command, row, body, run if is_done else None))
        except (OmsError, ValidationError) as error:
            refusal = problem(error, visit.asked.request_id)
            if refusal["status"] == HTTPStatus.UNPROCESSABLE_ENTITY and not outcomes:
                # the refusal would be the same for every order
                return await _form(visit, command, chosen, given, refusal=refusal)
            outcomes.append(Outcome(row, "refused", refusal["detail"]))
    so_far = {name: _number(visit, name) * is_done + sum(one.tally == name for one in outcomes) for name in TALLIES}
    went_on = {"outcomes": outcomes, "run": run, "after": found["next"], "is_done": is_done, "so_far": so_far}
    return await _form(visit, command, chosen, given, **went_on)


async def _outcome(visit: Visit, command: Command, row: Mapping[str, Any], body: Any, run: str | None) -> Outcome:
    """Give, or preview, the command for one order. Raise what the API raises."""
    path = at("v1", "orders", row["order_id"], verb=command.verb)
    if run is None:
        _, looked = await visit.api.post(path, body, {"preview": "true"})
        events = [event["type"] for event in looked["events"]]
        return Outcome(row, "changed" if events else "same", ", ".join(events))
    key = sha256(f"{run}\n{row['order_id']}".encode()).hexdigest()
    _, done = await visit.api.post(path, body, headers={"idempotency-key": key})
    return Outcome(row, "changed" if done["position"] else "same", str(done["position"] or ""))


def _sent_filter(text: str) -> dict[str, list[str]]:
    """Return the filter that the form repeats. Raise BadParameter."""
    found: dict[str, list[str]] = {}
    for name, value in parse_qsl(text):
        if name not in FILTER:
            raise BadParameter("filter", "begin again from the list of orders")
        found.setdefault(name, []).append(value)
    return found


def _number(visit: Visit, name: str) -> int:
    text = visit.form.get(f"so_far_{name}", "")
    return int(text) if text.isascii() and text.isdecimal() else 0


def _fields(command: Command) -> list[forms.Field]:
    return [field for field in fields_of(command) if field.name not in command.names]


def _path(command: Command) -> str:
    return at("console", "bulk", "orders", command.verb)


def routes() -> Iterator[Route]:
    for verb in FOR_ALL:
        command = catalogue()["order", verb]
        path, name = f"/bulk/orders/{verb}", f"bulk-{verb}"
        yield page(path, f"{name}-page", command.route.scope, partial(show, command), *FILTER, many=("phase",))
        yield form(path, name, command.route.scope, partial(give, command))
