"""Dead letters: grouped by reason, each with its content, replayed or discarded, singly or as a group."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.responses import Response

from oms_es.console.inside import at
from oms_es.console.routes import form, page
from oms_es.console.visits import Visit
from oms_es.errors import OmsError
from oms_es.http.access import PERSONAL
from oms_es.http.requests import NUMBER

READ, WRITE = "operations:read", "operations:write"
LIMIT = "50"
GROUP_MAX = 50
"""Dead letters of a group that are replayed or discarded with one request."""


class Outcome(NamedTuple):
    """The outcome for one of several dead letters. `events`: the events that a replay would lead to."""

    id: int
    is_settled: bool
    detail: str
    events: Sequence[str] = ()


async def listed(visit: Visit) -> Response:
    chosen = {name: value for name in ("source", "reason") if (value := visit.one(name))}
    groups = (await visit.api.get("/v1/dead-letters/groups"))["items"]
    found = await visit.api.get("/v1/dead-letters", {**chosen, "after": visit.one("after"), "limit": LIMIT})
    more = found["next"] and f"/console/dead-letters?{urlencode({**chosen, 'after': found['next']})}"
    return visit.page(
        "dead_letters.html",
        groups=groups,
        rows=found["items"],
        chosen=chosen,
        more=more,
        group_max=GROUP_MAX,
        may_write=visit.api.may(WRITE),
    )


async def one(visit: Visit) -> Response:
    found = await visit.api.get(at("v1", "dead-letters", visit.values["id"]))
    return visit.page(
        "dead_letter.html", dead_letter=found, shows_all=visit.api.may(PERSONAL), may_write=visit.api.may(WRITE)
    )


async def replay(visit: Visit) -> Response:
    if visit.form.get("do") == "preview":
        outcome = await _foreseen(visit, visit.values["id"])
        return visit.page("outcomes.html", outcomes=[outcome], left=0, is_preview=True)
    outcome = await _replayed(visit, visit.values["id"])
    status = 200 if outcome.is_settled else 409
    return visit.page("outcomes.html", status, outcomes=[outcome], left=0, is_preview=False)


async def discard(visit: Visit) -> Response:
    outcome = await _discarded(visit, visit.values["id"])
    return visit.page("outcomes.html", outcomes=[outcome], left=0, is_preview=False)


async def settle_group(visit: Visit) -> Response:
    """Replay, preview or discard a part of a group, each dead letter by itself.

    `until`: the last id, so that dead letters that arrive meanwhile are left out.
    """
    chosen = {name: visit.form.get(name, "") for name in ("source", "reason")}
    found = await visit.api.get("/v1/dead-letters", {**chosen, "limit": str(GROUP_MAX)})
    until = visit.form.get("until", "")
    rows = [row for row in found["items"] if not NUMBER.fullmatch(until) or row["id"] <= int(until)]
    do = DONE.get(visit.form.get("do", ""), _replayed)
    outcomes = [await _outcome(do, visit, str(row["id"])) for row in rows]
    left = bool(found["next"]) and len(rows) == len(found["items"])
    return visit.page("outcomes.html", outcomes=outcomes, left=left, is_preview=do is _foreseen)


async def _outcome(do: Callable[[Visit, str], Awaitable[Outcome]], visit: Visit, dead_letter_id: str) -> Outcome:
    """Settle one dead letter; an error becomes its outcome, so that the rest of the group goes on."""
    try:
        return await do(visit, dead_letter_id)
    except OmsError as error:
        return Outcome(int(dead_letter_id), is_settled=False, detail=str(error))


async def _replayed(visit: Visit, dead_letter_id: str) -> Outcome:
    _, answer = await visit.api.post(at("v1", "dead-letters", dead_letter_id, verb="replay"), {})
    return Outcome(int(dead_letter_id), answer["accepted"], answer.get("detail", ""))


async def _foreseen(visit: Visit, dead_letter_id: str) -> Outcome:
    path = at("v1", "dead-letters", dead_letter_id, verb="replay")
    _, answer = await visit.api.post(path, {}, {"preview": "true"})
    return Outcome(int(dead_letter_id), answer["accepted"], answer.get("detail", ""), answer["events"])


async def _discarded(visit: Visit, dead_letter_id: str) -> Outcome:
    body: Mapping[str, Any] = {"because": visit.form.get("because", "").strip()}
    _, answer = await visit.api.post(at("v1", "dead-letters", dead_letter_id, verb="discard"), body)
    return Outcome(int(dead_letter_id), bool(answer["discarded"]), "")


DONE: Mapping[str, Callable[[Visit, str], Awaitable[Outcome]]] = {"discard": _discarded, "preview": _foreseen}
ROUTES = (
    page("/dead-letters", "dead-letters", READ, listed, "source", "reason", "after"),
    form("/dead-letters", "dead-letters-group", WRITE, settle_group),
    page("/dead-letters/{id}", "dead-letter", READ, one),
    form("/dead-letters/{id}:replay", "dead-letter-replay", WRITE, replay),
    form("/dead-letters/{id}:discard", "dead-letter-discard", WRITE, discard),
)
