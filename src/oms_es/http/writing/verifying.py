"""Verification on request: every check on the whole history, in a background thread, one run at a time; and its last
result.

Invariant: a run reads one snapshot and writes nothing; a server forgets its results when it ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from starlette.responses import Response

from oms_es.app import DECIDERS, PROJECTIONS
from oms_es.http.access import PERSONAL
from oms_es.http.background import Cancelled, Job, Progress
from oms_es.http.requests import Asked
from oms_es.http.routing import Body, Route
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec
from oms_es.verification.check import Check
from oms_es.verification.verify import Report, verify

READ, WRITE = "operations:read", "operations:write"
KEY = "verify"
OF_NO_CHANNEL = "history is of every channel"


class Verified(NamedTuple):
    report: Report
    ended_at: datetime


async def show(asked: Asked) -> Response:
    asked.caller.require_all_channels(OF_NO_CHANNEL)
    return asked.json(_shown(asked, asked.services.verifying.latest(KEY)))


async def run(asked: Asked) -> Response:
    """Begin a verification, or join the one that runs."""
    asked.caller.require_all_channels(OF_NO_CHANNEL)
    await asked.json_body()
    do = partial(_verified, asked.services.parts.database_url)
    job = asked.services.verifying.again(KEY, asked.caller.actor, do)
    return asked.json(_shown(asked, job), 202)


async def cancel(asked: Asked) -> Response:
    asked.caller.require_all_channels(OF_NO_CHANNEL)
    await asked.json_body()
    job = asked.services.verifying.latest(KEY)
    if job:
        job.progress.cancel()
    return asked.json(_shown(asked, job))


def _verified(database_url: str, progress: Progress) -> Verified:
    return Verified(verify(database_url, DECIDERS, PROJECTIONS, Codec(EVENTS), progress), datetime.now(UTC))


def _shown(asked: Asked, job: Job | None) -> Mapping[str, Any]:
    if job is None:
        return {"state": "none"}
    begun = {"by": job.caller, "began_at": job.began_at, "done": job.progress.done, "total": job.progress.total}
    if not job.result.done():
        return {"state": "running", **begun}
    if error := job.result.exception():
        return {"state": "cancelled" if isinstance(error, Cancelled) else "failed", **begun}
    report, ended_at = job.result.result()
    may_see = PERSONAL in asked.caller.scopes
    return {
        "state": "passed" if report.passed else "different",
        **begun,
        "ended_at": ended_at,
        "position": report.position,
        "streams": report.streams,
        "checks": [_check(one, may_see=may_see) for one in report.checks],
    }


def _check(one: Check, *, may_see: bool) -> Mapping[str, Any]:
    """Return a check's result; the differences are left out for callers who may not see personal data, which rows may
    hold."""
    counted = {"name": one.name, "checked": one.checked, "failed": one.failed}
    return {**counted, "differences": one.differences} if may_see else counted


TEXT: Mapping[str, Any] = {"type": "string"}
COUNT: Mapping[str, Any] = {"type": "integer"}
MOMENT: Mapping[str, Any] = {"type": "string", "format": "date-time"}
STATE: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "state": {"enum": ["none", "running", "passed", "different", "cancelled", "failed"]},
        "by": TEXT,
        **dict.fromkeys(("began_at", "ended_at"), MOMENT),
        **dict.fromkeys(("done", "total", "position", "streams"), COUNT),
        "checks": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": TEXT,
                    **dict.fromkeys(("checked", "failed"), COUNT),
                    "differences": {"type": "array", "items": TEXT},
                },
                "required": ["name", "checked", "failed"],
            },
        },
    },
    "required": ["state"],
}
NOTHING = Body(lambda: {"type": "object", "maxProperties": 0}, dict)
PATH = "/v1/verification"
ROUTES: Sequence[Route] = (
    Route(
        "GET",
        PATH,
        "show-verification",
        "The progress or the result of this server's last verification of history.",
        READ,
        show,
        answer=STATE,
        answers={200: "It is this."},
        tag="operations",
    ),
    Route(
        "POST",
        f"{PATH}:run",
        "run-verification",
        "Verify the whole history: every invariant and every row of the read models.",
        WRITE,
        run,
        (),
        NOTHING,
        answers={202: "It is under way; GET shows how far."},
        answer=STATE,
        tag="operations",
    ),
    Route(
        "POST",
        f"{PATH}:cancel",
        "cancel-verification",
        "Cancel the verification; it ends after its current page of history.",
        WRITE,
        cancel,
        (),
        NOTHING,
        answers={200: "It ends, or had ended."},
        answer=STATE,
        tag="operations",
    ),
)
