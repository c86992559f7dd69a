"""Dead letters over HTTP: list, show, replay, replace, and discard them.

Invariant: the content may hold personal data and is shown only to callers who may see that; others see the source and
the reason, without what the reason repeats of the content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from starlette.responses import Response

from oms_es.app import bulk_commands
from oms_es.app.replaying import Foreseen, foreseen, replayed
from oms_es.http.access import PERSONAL
from oms_es.http.errors import BadParameter, NoResource
from oms_es.http.reading.tables import AFTER, LIMIT, page_of, page_schema
from oms_es.http.requests import Asked
from oms_es.http.routing import Body, Parameter, Route
from oms_es.http.writing.orders import PREVIEW
from oms_es.processing import aside
from oms_es.schemas.values.types import TEXT_LENGTH_MAX
from oms_es.store import dead_letters
from oms_es.store.dead_letters import Chosen, StoredDeadLetter
from oms_es.store.encoding import command_codec

READ, WRITE = "operations:read", "operations:write"
OF_NO_CHANNEL = "a dead letter is of no channel"
ID_DIGITS_MAX = 18
ID_MAX = 10**ID_DIGITS_MAX - 1
OF_ITS_CONTENT = frozenset({"payload", "detail", "place"})
"""Fields that may repeat personal data."""
SOURCE = Parameter("source", "Only dead letters of this source, such as import:orders.jsonl.")
REASON = Parameter("reason", "Only dead letters with this reason.")
SETTLED = Parameter("settled", "Whether to list replayed and discarded dead letters, too.", {"type": "boolean"})


REPLAYED_MAX = 100
PAYLOAD_LENGTH_MAX = 1_000_000
Name = Annotated[str, StringConstraints(min_length=1, max_length=TEXT_LENGTH_MAX)]


class Discarding(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    because: Annotated[str, StringConstraints(min_length=1, max_length=TEXT_LENGTH_MAX, strip_whitespace=True)]
    """Why the dead letter is not needed; recorded with it."""


class Replaying(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    source: Name | None = None
    """Replay only dead letters of this source."""
    reason: Name | None = None
    """Replay only dead letters with this reason."""
    after: Annotated[int, Field(ge=0, le=ID_MAX)] = 0
    """Replay only dead letters after this id."""
    until: Annotated[int, Field(ge=0, le=ID_MAX)] = ID_MAX
    """Replay only dead letters up to this id, included."""
    limit: Annotated[int, Field(ge=1, le=REPLAYED_MAX)] = REPLAYED_MAX
    """Replay at most this many."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.source is None and self.reason is None:
            raise ValueError("which are meant must be said: give source, reason or both")
        return self


ANY_COMMAND = frozenset({aside.DIALECT, bulk_commands.DIALECT, command_codec.DIALECT})
"""Dialects in which a dead letter may be any command. Over HTTP, each command has a scope of its own."""


class Replacing(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    payload: Annotated[str, StringConstraints(min_length=1, max_length=PAYLOAD_LENGTH_MAX)]
    """What should have come, in the dialect of the dead letter."""


async def list_dead_letters(asked: Asked) -> Response:
    """Answer with a page of dead letters, without their content: each by itself shows that."""
    asked.caller.require_all_channels(OF_NO_CHANNEL)
    chosen = Chosen(source=asked.one("source"), reason=asked.one("reason"), after=asked.number("after", 0, ID_MAX))
    limit, settled = asked.limit(), asked.flag("settled")
    found = await asked.read(lambda rows: dead_letters.listed(rows.cursor(), chosen, settled=settled, limit=limit + 1))
    after = str(found[limit - 1].id) if len(found) > limit else None
    return page_of(asked, [_shown(one, whole=False) for one in found[:limit]], after)


async def list_groups(asked: Asked) -> Response:
    asked.caller.require_all_channels(OF_NO_CHANNEL)
    found = await asked.read(lambda rows: dead_letters.grouped(rows.cursor()))
    return page_of(asked, [group._asdict() for group in found], None)


async def show_dead_letter(asked: Asked) -> Response:
    found = await _named(asked)
    if PERSONAL in asked.caller.scopes:
        await asked.note_personal(str(found.id))
    return asked.json(_shown(found, whole=PERSONAL in asked.caller.scopes))


async def replay(asked: Asked) -> Response:
    """Replay one dead letter, in the store's thread. If it still cannot be used, it stays open."""
    await asked.json_body()
    found = await _named(asked)
    return await (_looked_at(asked, found) if asked.flag("preview") else _answered(asked, found))


async def replay_group(asked: Asked) -> Response:
    """Replay dead letters one by one, in the order of their arrival; other requests are answered in between."""
    body = Replaying.model_validate_json(await asked.json_body())
    asked.caller.require_all_channels(OF_NO_CHANNEL)
    chosen = Chosen(source=body.source, reason=body.reason, after=body.after)
    found = await asked.read(lambda rows: dead_letters.listed(rows.cursor(), chosen, limit=body.limit + 1))
    is_last = len(found) <= body.limit or found[body.limit].id > body.until
    some = [one for one in found[: body.limit] if one.id <= body.until]
    if asked.flag("preview"):
        outcomes = {one.id: (await _foreseen(asked, one)).why for one in some}
    else:
        outcomes = {one.id: await _replayed(asked, one) for one in some}
    return asked.json(
        {
            "accepted": [number for number, why in outcomes.items() if not why],
            "kept": [number for number, why in outcomes.items() if why],
            "next": None if is_last else found[body.limit - 1].id,
        }
    )


async def replace(asked: Asked) -> Response:
    """Replay a dead letter with other content, such as one in which a card number was masked."""
    body = Replacing.model_validate_json(await asked.json_body())
    found = await _named(asked)
    if found.replayed_at or found.discarded_at:
        raise NoResource("the dead letter is settled; send the corrected message as a new one")
    if found.dialect in ANY_COMMAND:
        raise BadParameter("payload", "a command is not replaced: give the corrected one by its own route")
    return await _answered(asked, found._replace(payload=body.payload.encode(), detail=""))


async def _answered(asked: Asked, dead_letter: StoredDeadLetter) -> Response:
    why = await _replayed(asked, dead_letter)
    detail = {"detail": why} if why and PERSONAL in asked.caller.scopes else {}
    return asked.json({"id": dead_letter.id, "accepted": not why, **detail}, 409 if why else 200)


async def _looked_at(asked: Asked, dead_letter: StoredDeadLetter) -> Response:
    """Answer with what a replay would result in; nothing is changed."""
    why, events = await _foreseen(asked, dead_letter)
    detail = {"detail": why} if why and PERSONAL in asked.caller.scopes else {}
    return asked.json({"id": dead_letter.id, "accepted": not why, "events": events, **detail})


async def _foreseen(asked: Asked, dead_letter: StoredDeadLetter) -> Foreseen:
    return await asked.services.committer.ask(partial(foreseen, asked.services.parts, dead_letter))


async def _replayed(asked: Asked, dead_letter: StoredDeadLetter) -> str:
    """Replay the dead letter and return why it still cannot be used, or an empty string if it was used."""
    do = partial(replayed, asked.services.parts, asked.caller.actor, dead_letter)
    return await asked.services.committer.ask(do)


async def discard(asked: Asked) -> Response:
    body = Discarding.model_validate_json(await asked.json_body())
    found = await _named(asked)
    runtime = asked.services.parts

    def do() -> list[int]:
        with runtime.recorder.datastore.transaction(commit=True) as curs:
            return dead_letters.discard(curs, Chosen(found.id), asked.caller.actor, body.because)

    return asked.json({"discarded": await asked.services.committer.ask(do)})


async def _named(asked: Asked) -> StoredDeadLetter:
    """Return the dead letter that the path names. Raise NoResource or Forbidden."""
    asked.caller.require_all_channels(OF_NO_CHANNEL)
    text = asked.values["id"]
    is_number = text.isascii() and text.isdecimal() and len(text) <= ID_DIGITS_MAX
    found = await asked.read(lambda rows: dead_letters.shown(rows.cursor(), int(text))) if is_number else None
    if found is None:
        raise NoResource("there is no such dead letter; GET /v1/dead-letters?settled=true lists all")
    return found


def _shown(dead_letter: StoredDeadLetter, *, whole: bool) -> dict[str, Any]:
    fields = dead_letter._asdict()
    if not whole:
        return {name: value for name, value in fields.items() if name not in OF_ITS_CONTENT}
    return {**fields, "payload": dead_letter.payload.decode(errors="replace")}


MOMENT: Mapping[str, Any] = {"type": "string", "format": "date-time"}
TEXT: Mapping[str, Any] = {"type": "string"}
NUMBER: Mapping[str, Any] = {"type": "integer"}
OPTIONAL: Mapping[str, Any] = {"anyOf": [MOMENT, {"type": "null"}]}
LISTED: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        **dict.fromkeys(("source", "dialect", "reason", "discarded_by", "discarded_because"), TEXT),
        "arrivals": {"type": "integer"},
        "buried_at": MOMENT,
        "replayed_at": OPTIONAL,
        "discarded_at": OPTIONAL,
    },
}
WHOLE: Mapping[str, Any] = {
    "type": "object",
    "properties": {**LISTED["properties"], **dict.fromkeys(sorted(OF_ITS_CONTENT), TEXT)},
}
GROUPED: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("source", "reason"), TEXT),
        **dict.fromkeys(("open", "first_id"), NUMBER),
        **dict.fromkeys(("oldest_at", "newest_at"), MOMENT),
    },
}
NOTHING = Body(lambda: {"type": "object", "maxProperties": 0}, dict)
ONE = "/v1/dead-letters/{id}"
ROUTES: Sequence[Route] = (
    Route(
        "GET",
        "/v1/dead-letters",
        "list-dead-letters",
        "Dead letters with their reason, the oldest first, without their content.",
        READ,
        list_dead_letters,
        (SOURCE, REASON, SETTLED, LIMIT, AFTER),
        answer=page_schema(LISTED),
        tag="operations",
    ),
    Route(
        "GET",
        "/v1/dead-letters/groups",
        "group-dead-letters",
        f"Open dead letters by source and reason, of the {dead_letters.GROUPED_MAX:,} oldest.",
        READ,
        list_groups,
        answer=page_schema(GROUPED),
        tag="operations",
    ),
    Route(
        "GET",
        ONE,
        "get-dead-letter",
        "One dead letter. Its content is shown to callers who may see personal data, and each view is recorded.",
        READ,
        show_dead_letter,
        answers={200: "It is this.", 404: "There is none."},
        answer=WHOLE,
        tag="operations",
    ),
    Route(
        "POST",
        f"{ONE}:replay",
        "replay-dead-letter",
        "Replay a dead letter, as if it had just come.",
        WRITE,
        replay,
        (PREVIEW,),
        NOTHING,
        answers={200: "It was taken, and is settled.", 404: "There is none.", 409: "It still cannot be used."},
        answer={
            "type": "object",
            "properties": {
                "id": {"type": "integer"},
                "accepted": {"type": "boolean"},
                "detail": TEXT,
                "events": {"type": "array", "items": TEXT, "description": "Of a preview: what it would lead to."},
            },
            "required": ["id", "accepted"],
        },
        tag="operations",
    ),
    Route(
        "POST",
        "/v1/dead-letters:replay",
        "replay-dead-letters",
        "Replay the dead letters of a source, of a reason or of both, the oldest first.",
        WRITE,
        replay_group,
        (PREVIEW,),
        Body(Replaying.model_json_schema, lambda: {"source": "import:orders.jsonl", "limit": 50}),
        answers={200: "Those that were accepted are settled; the others are as before."},
        answer={
            "type": "object",
            "properties": {
                **{key: {"type": "array", "items": NUMBER} for key in ("accepted", "kept")},
                "next": {"anyOf": [NUMBER, {"type": "null"}], "description": "For `after`; null after the last one."},
            },
            "required": ["accepted", "kept", "next"],
        },
        tag="operations",
    ),
    Route(
        "POST",
        f"{ONE}:replace",
        "replace-dead-letter",
        "Replay a dead letter with a corrected message as its content.",
        WRITE,
        replace,
        (),
        Body(Replacing.model_json_schema, lambda: {"payload": "{}"}),
        answers={200: "It was taken, and the dead letter is settled.", 404: "None is open.", 409: "It cannot be used."},
        answer={
            "type": "object",
            "properties": {"id": NUMBER, "accepted": {"type": "boolean"}, "detail": TEXT},
            "required": ["id", "accepted"],
        },
        tag="operations",
    ),
    Route(
        "POST",
        f"{ONE}:discard",
        "discard-dead-letter",
        "Discard a dead letter. It is kept, with who discarded it, when and why.",
        WRITE,
        discard,
        (),
        Body(Discarding.model_json_schema, lambda: {"because": "a test of theirs"}),
        answers={200: "It is discarded, or was settled before.", 404: "There is none."},
        answer={
            "type": "object",
            "properties": {"discarded": {"type": "array", "items": {"type": "integer"}}},
            "required": ["discarded"],
        },
        tag="operations",
    ),
)
