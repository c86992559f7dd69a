"""Documents over HTTP: bytes in and out as they come, and what is attached to what.

Invariant: a document is given out only to be saved, under the type that its bytes have; who had it is kept first. More
than may be kept is refused as soon as it is more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.responses import Response, StreamingResponse

from oms_es.http.errors import BadParameter
from oms_es.http.requests import NUMBER, Asked
from oms_es.http.routing import Body, Parameter, Route
from oms_es.http.writing.checks import named_order
from oms_es.reports.finance import documents as attached
from oms_es.schemas.operations.document import ENTITIES
from oms_es.store.documents import table
from oms_es.store.documents.places import SHELF
from oms_es.store.documents.sniffing import suffix_of

READ, WRITE = "documents:read", "documents:write"
BYTES = "application/octet-stream"
OF_NO_CHANNEL = "documents are of no channel"
UPLOAD_SECONDS_MAX = 120.0
NAME_LENGTH = 12
"""Digits of its hash in the name under which a document is saved."""
SAVED_ONLY = "default-src 'none'; sandbox"
POSITION_DIGITS_MAX = 18


async def add(asked: Asked) -> Response:
    """Raises TooLarge, TooLong, TooSlow, WrongMedia, FolderUnavailable."""
    asked.caller.require_all_channels(OF_NO_CHANNEL)
    receiver = table.Receiver(SHELF.bytes_max)
    try:
        await asked.receive(receiver.take, BYTES, bytes_max=SHELF.bytes_max, seconds_max=UPLOAD_SECONDS_MAX)
        kept = await run_in_threadpool(_keep, asked, receiver)
    finally:
        receiver.close()
    loose_until = kept.loose_until and kept.loose_until.isoformat()
    shown = {"sha256": kept.sha256, "media_type": kept.media_type, "byte_count": kept.byte_count}
    return asked.json({**shown, "loose_until": loose_until}, 201, {"Location": f"/v1/documents/{kept.sha256}"})


def _keep(asked: Asked, receiver: table.Receiver) -> table.Kept:
    received = receiver.received()
    return asked.services.write(partial(table.add, received=received, now=datetime.now(UTC)))


async def show(asked: Asked) -> Response:
    """Raises NotFound, NotAsAddressed, FolderUnavailable."""
    asked.caller.require_all_channels(OF_NO_CHANNEL)
    kept = await asked.read(partial(table.look, address=asked.values["sha256"]))
    await asked.note_personal(f"document/{kept.sha256}")
    pieces = table.pieces(asked.services.reading, kept)
    first = await run_in_threadpool(
        next, pieces
    )  # what is wrong with a small one is a problem document, not half a body
    name = f"{kept.sha256[:NAME_LENGTH]}{suffix_of(kept.media_type)}"
    headers = {
        "Content-Length": str(kept.byte_count),
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Security-Policy": SAVED_ONLY,
        "Cache-Control": "private, no-store",
        "ETag": f'"{kept.sha256}"',
    }
    return StreamingResponse(_all(first, pieces), 200, headers, kept.media_type)


async def _all(first: bytes, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in iterate_in_threadpool(pieces):
        yield piece


async def listed(asked: Asked) -> Response:
    """Raises BadParameter."""
    asked.caller.require_all_channels(OF_NO_CHANNEL)
    order, account, entity, entity_id = (asked.one(name) or "" for name in ("order", "account", "entity", "entity_id"))
    if bool(entity) != bool(entity_id) or sum(map(bool, (order, account, entity))) > 1:
        raise BadParameter("entity", "give an order, an account, or an entity and its id: one of them, or none")
    if entity and entity not in ENTITIES:
        raise BadParameter("entity", f"write one of {', '.join(ENTITIES)}")
    which = attached.Asked(named_order(order)[0] if order else "", account, entity, entity_id)
    limit = asked.limit(attached.PAGE_MAX)
    page = await asked.read(partial(attached.page, asked=which, after=_after(asked), limit=limit))
    return asked.json({"items": page.rows, "next": None if page.after is None else str(page.after)})


def _after(asked: Asked) -> int | None:
    text = asked.one("after")
    if text is not None and not (NUMBER.fullmatch(text) and len(text) <= POSITION_DIGITS_MAX):
        raise BadParameter("after", "write what the page before said is `next`")
    return None if text is None else int(text)


KEPT: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "media_type": {"type": "string", "description": "By its bytes."},
        "byte_count": {"type": "integer"},
        "loose_until": {
            "anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}],
            "description": "Until when it waits to be attached first; null where it is kept anyway.",
        },
    },
    "required": ["sha256", "media_type", "byte_count", "loose_until"],
}
TEXT_OR_NONE = {"anyOf": [{"type": "string"}, {"type": "null"}]}
ATTACHED: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in ("sha256", "entity", "entity_id", "kind", "reference", "attached_by")},
        "attached_at": {"type": "string", "format": "date-time"},
        "position": {"type": "integer"},
        "keep_until": TEXT_OR_NONE,
        "media_type": TEXT_OR_NONE,
        "byte_count": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    },
    "required": ["sha256", "entity", "entity_id", "kind", "position", "media_type", "byte_count"],
}
PAGE: Mapping[str, Any] = {
    "type": "object",
    "properties": {"items": {"type": "array", "items": ATTACHED}, "next": TEXT_OR_NONE},
    "required": ["items", "next"],
}
LIMIT = {"type": "integer", "minimum": 1, "maximum": attached.PAGE_MAX}
ROUTES: Sequence[Route] = (
    Route(
        "POST",
        "/v1/documents",
        "add-document",
        "Keep a document, so that it can be attached. The same bytes are kept once.",
        WRITE,
        add,
        body=Body(lambda: {"type": "string"}, str, (BYTES,)),
        answers={201: "It is kept, or was before.", 413: "It is empty, or larger than a document may be."},
        answer=KEPT,
        tag="documents",
    ),
    Route(
        "GET",
        "/v1/documents",
        "list-documents",
        "Documents and what they are attached to, the newest first.",
        READ,
        listed,
        (
            Parameter(
                "order", "Those of this order, its payments and its parcels.", {"type": "string", "minLength": 1}
            ),
            Parameter("account", "Those of this account's statements.", {"type": "string", "minLength": 1}),
            Parameter("entity", "With `entity_id`: those of this.", {"type": "string", "enum": list(ENTITIES)}),
            Parameter("entity_id", "Of a statement ACCOUNT/STATEMENT.", {"type": "string", "minLength": 1}),
            Parameter("limit", "Rows of a page.", LIMIT),
            Parameter("after", "Go on where a page ended: its `next`.", {"type": "string", "pattern": "^[0-9]{1,18}$"}),
        ),
        reads=("document_attachments",),
        answer=PAGE,
        tag="documents",
    ),
    Route(
        "GET",
        "/v1/documents/{sha256}",
        "get-document",
        "A document's bytes, to be saved. Who had it is kept in the access log.",
        READ,
        show,
        answers={200: "All of it; the connection breaks where its bytes turn out to be others.", 404: "There is none."},
        answer={"type": "string"},
        media="*/*",
        tag="documents",
        path_schemas={"sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"}},
    ),
)
