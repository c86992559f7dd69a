"""An order that was sent again with other content is settled by keeping one of the two versions.

Invariant: the order is amended and its exception resolved in one transaction, or nothing happens. Only the version that
was read is taken: if the channel has sent another since then, the exception stays open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.responses import Response

from oms_es.http.access import PLACE
from oms_es.http.errors import BadParameter, NoResource
from oms_es.http.requests import Asked
from oms_es.http.routing import Body, Route
from oms_es.kernel import Command
from oms_es.reports.operations import exceptions
from oms_es.reports.queries import Connection
from oms_es.schemas.values.types import TEXT_LENGTH_MAX, Moment
from oms_es.store.encoding.codec import Cause

WRITE = "operations:write"
NOTE_LENGTH_MAX = TEXT_LENGTH_MAX - len("took theirs: ")


class Taking(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    side: exceptions.Side
    """`ours` keeps the order as it is; `theirs` amends it to the newest other content that its channel sent, and needs
    the scope `orders:place`, too."""
    raised_at: Moment
    """When it was last raised, as `last_raised_at` says: if other content came since then, nothing is taken."""
    note: Annotated[str, StringConstraints(max_length=NOTE_LENGTH_MAX, strip_whitespace=True)] = ""
    """Why; recorded with the exception."""


async def take(asked: Asked) -> Response:
    """Settle a conflict. Raise NoResource if it is not open, Forbidden, BadParameter, or Refused if another version has
    come since it was read, or if an amendment cannot make the order what the channel sent."""
    asked.caller.require_all_channels("an exception is of no channel")
    body = Taking.model_validate_json(await asked.json_body())
    if body.side == "theirs":
        asked.caller.require(PLACE)
    commands = await asked.read(partial(_commands, asked, body))
    store = asked.services.parts.store
    given = [(Cause(asked.caller.actor), commands)]
    recorded = await asked.services.committer.ask(partial(store.execute, given))
    events = [{"type": type(one.event).__name__, "stream": one.stream, "position": one.position} for one in recorded]
    return asked.json({"position": recorded[-1].position if recorded else None, "events": events})


def _commands(asked: Asked, body: Taking, connection: Connection) -> Sequence[Command]:
    exception_id = asked.values["exception_id"]
    row = exceptions.one(connection, exception_id)
    if row is None:
        raise NoResource("no such exception is open any more; GET /v1/exceptions lists those that are")
    conflict = exceptions.conflict_of_exception(connection, asked.services.codec, exception_id)
    if conflict is None:
        raise BadParameter("exception_id", "it is not about two versions of an order: say what was done with :resolve")
    exceptions.require_as_read(row["last_raised_at"], body.raised_at)
    return exceptions.taking(row, conflict, body.side, body.note, datetime.now(UTC))


TEXT: Mapping[str, Any] = {"type": "string"}
ROUTES: Sequence[Route] = (
    Route(
        "POST",
        "/v1/exceptions/{exception_id}:take",
        "take-side",
        "Settle that a channel sent an order again with other content: keep ours, or amend the order to theirs.",
        WRITE,
        take,
        (),
        Body(
            Taking.model_json_schema,
            lambda: {"side": "theirs", "raised_at": "2026-01-05T12:00:00Z", "note": "the customer called"},
        ),
        answers={
            200: "It is settled.",
            404: "None of that id is open.",
            409: "An amendment cannot do it, or another version came since; and why.",
        },
        answer={
            "type": "object",
            "properties": {
                "position": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                "events": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"type": TEXT, "stream": TEXT, "position": {"type": "integer"}},
                    },
                },
            },
            "required": ["position", "events"],
        },
        tag="operations",
    ),
)
