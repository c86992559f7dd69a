"""Sessions of the console over HTTP: who is signed in, and ending a session before its time.

Invariant: a session is named by a part of a hash, from which no one can make its cookie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from oms_es.http.access import KEYS
from oms_es.http.errors import NoResource
from oms_es.http.requests import JSON, Asked
from oms_es.http.routing import Body, Route
from oms_es.store.http import sessions

FOR_ALL = "sessions are for all channels"
TEXT: Mapping[str, Any] = {"type": "string"}
MOMENT: Mapping[str, Any] = {"type": "string", "format": "date-time"}
SESSION: Mapping[str, Any] = {
    "type": "object",
    "properties": {**dict.fromkeys(("session_id", "actor"), TEXT), **dict.fromkeys(("opened_at", "used_at"), MOMENT)},
    "required": list(sessions.OpenSession._fields),
}
NOTHING = Body(lambda: {"type": "object", "maxProperties": 0}, dict)

log = structlog.get_logger(__name__)


async def list_sessions(asked: Asked) -> Response:
    """Answer with the sessions that have not ended, those used last first. Raises Forbidden."""
    asked.caller.require_all_channels(FOR_ALL)
    found = await asked.read(lambda connection: sessions.listed(connection, datetime.now(UTC)))
    return asked.json({"items": [one._asdict() for one in found], "next": None})


async def end_session(asked: Asked) -> Response:
    """End a session at once: its next request has to sign in. Raises Forbidden, NoResource."""
    await asked.body(JSON)
    asked.caller.require_all_channels(FOR_ALL)
    session_id = asked.values["session"]
    ended = await run_in_threadpool(asked.services.write, lambda connection: sessions.end(connection, session_id))
    if not ended:
        raise NoResource("no session has this name, or it has ended; GET /v1/sessions lists those that go on")
    log.info("session ended", session=session_id, actor=asked.caller.actor)
    return asked.json({"ended": ended})


ROUTES: Sequence[Route] = (
    Route(
        "GET",
        "/v1/sessions",
        "list-sessions",
        "Who is signed in to the console, those who used it last first.",
        KEYS,
        list_sessions,
        answer={
            "type": "object",
            "properties": {"items": {"type": "array", "items": SESSION}, "next": {"type": "null"}},
            "required": ["items", "next"],
        },
        answers={200: "They are these."},
        tag="operations",
    ),
    Route(
        "POST",
        "/v1/sessions/{session}:end",
        "end-session",
        "End a session of the console at once.",
        KEYS,
        end_session,
        (),
        NOTHING,
        answers={200: "It has ended.", 404: "There is no such session."},
        answer={"type": "object", "properties": {"ended": {"type": "integer"}}, "required": ["ended"]},
        tag="operations",
    ),
)
