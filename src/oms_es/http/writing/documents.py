"""Documents over HTTP: upload and download in pieces, and the list of what is attached to what.

Invariant: a document is sent as a download, under the media type of its bytes. The caller needs the scope for personal
data, since labels and invoices name people, and each download is recorded before it begins. An upload is refused as
soon as it exceeds the limit.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.responses import Response, StreamingResponse

from oms_es.app.finance.invoices import OF_PEOPLE, Found, read_invoice
from oms_es.http.access import PERSONAL
from oms_es.http.errors import BadParameter
from oms_es.http.requests import NUMBER, Asked
from oms_es.http.routing import Body, Parameter, Route
from oms_es.http.turns import turn
from oms_es.http.writing.checks import named_order
from oms_es.processing.committer import Work
from oms_es.reports.finance import documents as attached
from oms_es.schemas.operations.document import ENTITIES
from oms_es.store.documents import table
from oms_es.store.documents.places import SHELF
from oms_es.store.documents.sniffing import suffix_of
from oms_es.store.encoding.codec import Cause

READ, WRITE = "documents:read", "documents:write"
BYTES = "application/octet-stream"
OF_NO_CHANNEL = "documents are of no channel"
UPLOAD_SECONDS_MAX = 120.0
NAME_LENGTH = 12
"""Digits of its hash in the file name of a downloaded document."""
SAVED_ONLY = "default-src 'none'; sandbox"
POSITION_DIGITS_MAX = 18
AT_ONCE_MAX = 4
"""Documents that are stored, and invoices that are parsed, at once: each is held in memory."""
WAIT_SECONDS_MAX = 10.0
_KEEPING = threading.BoundedSemaphore(AT_ONCE_MAX)
_READING = threading.BoundedSemaphore(AT_ONCE_MAX)


async def add(asked: Asked) -> Response:
    """Store the document in the body. Raise Empty, TooLarge, TooLong, TooSlow, WrongMedia,
    FolderUnavailable or Busy."""
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
    """Store the document on a connection of its own: the server's connections are for short queries. Raise Busy."""
    with (
        turn(_KEEPING, "other documents are being kept", WAIT_SECONDS_MAX),
        psycopg.connect(asked.services.parts.database_url) as connection,
    ):
        return table.add(connection, receiver.received(), datetime.now(UTC))


async def show(asked: Asked) -> Response:
    """Send the document as a download. Raise Forbidden, NotFound, NotAsAddressed or FolderUnavailable."""
    asked.caller.require(READ)
    asked.caller.require_all_channels(OF_NO_CHANNEL)
    kept = await asked.read(partial(table.look, address=asked.values["sha256"]))
    await asked.note_personal(f"document/{kept.sha256}")
    return await sent(asked, kept, f"{kept.sha256[:NAME_LENGTH]}{suffix_of(kept.media_type)}", kept.media_type)


async def sent(asked: Asked, kept: table.Kept, name: str, media_type: str) -> Response:
    """Send the bytes as a download of this name. Raise NotAsAddressed or FolderUnavailable."""
    pieces = table.pieces(asked.services.reading, kept)
    first = await run_in_threadpool(
        next, pieces
    )  # read the first piece before the headers are sent: an error becomes a problem document, not half a body
    headers = {
        "Content-Length": str(kept.byte_count),
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Security-Policy": SAVED_ONLY,
        "Cache-Control": "private, no-store",
        "ETag": f'"{kept.sha256}"',
    }
    return StreamingResponse(_all(first, pieces), 200, headers, media_type)


async def _all(first: bytes, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in iterate_in_threadpool(pieces):
        yield piece


async def read(asked: Asked) -> Response:
    """Parse the stored invoice and record it. Raise BadInput, NotFound, NotAsAddressed or FolderUnavailable."""
    asked.caller.require_all_channels(OF_NO_CHANNEL)
    address, checks, caller = asked.values["sha256"], asked.services.checks, asked.caller
    sees_people = PERSONAL in caller.scopes
    if sees_people:
        await asked.note_personal(f"document/{address}")
    found = await run_in_threadpool(_read, asked, address)
    command = found.command
    work = Work(Cause(caller.actor), command, lambda: checks.of_command(caller, command, None))
    done = await asked.services.committer.commit(work)
    return asked.json(found.shown(done.position, sees_people=sees_people))


def _read(asked: Asked, address: str) -> Found:
    """Parse the invoice. Raise Busy, and whatever the parser raises."""
    with turn(_READING, "other invoices are being read", WAIT_SECONDS_MAX):
        return read_invoice(asked.services.reading, address)


async def listed(asked: Asked) -> Response:
    """Answer with a page of attached documents. Raise BadParameter."""
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


NAMES = ("sha256", "format", "invoice_number", "issued_on", "seller", "seller_id", "buyer", "buyer_id", "currency")
AMOUNTS = ("net_minor", "tax_minor", "total_minor")
SAID: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in NAMES},
        **{name: {"type": "integer"} for name in AMOUNTS},
        "kind": {"enum": ["invoice", "credit_note"]},
        **{name: {"type": "array", "items": {"type": "string"}} for name in ("references", "differences")},
        "proposals": {"type": "array", "items": {"type": "object"}, "description": "The most certain first."},
        "position": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    },
    "required": [
        *sorted({*NAMES}.difference(OF_PEOPLE)),
        *AMOUNTS,
        "kind",
        "references",
        "differences",
        "proposals",
        "position",
    ],
}
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
INTEGER_OR_NONE = {"anyOf": [{"type": "integer"}, {"type": "null"}]}
TEXT_OR_NONE = {"anyOf": [{"type": "string"}, {"type": "null"}]}
ATTACHED: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in ("sha256", "entity", "entity_id", "kind", "reference", "attached_by")},
        "attached_at": {"type": "string", "format": "date-time"},
        "position": {"type": "integer"},
        "keep_until": TEXT_OR_NONE,
        "media_type": TEXT_OR_NONE,
        "byte_count": INTEGER_OR_NONE,
        **dict.fromkeys(("invoice_number", "currency"), TEXT_OR_NONE),
        "total_minor": INTEGER_OR_NONE,
        "differences": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
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
        "Store a document, so that it can be attached. The same bytes are stored once.",
        WRITE,
        add,
        body=Body(lambda: {"type": "string"}, str, (BYTES,)),
        answers={201: "It is kept, or was before.", 413: "It is larger than a document may be.", 422: "It is empty."},
        answer=KEPT,
        tag="documents",
    ),
    Route(
        "GET",
        "/v1/documents",
        "list-documents",
        "Documents with what they are attached to, the newest first.",
        READ,
        listed,
        (
            Parameter(
                "order",
                "Only documents of this order, its payments and its parcels.",
                {"type": "string", "minLength": 1},
            ),
            Parameter("account", "Only documents of this account's statements.", {"type": "string", "minLength": 1}),
            Parameter(
                "entity", "With `entity_id`: only documents of this thing.", {"type": "string", "enum": list(ENTITIES)}
            ),
            Parameter(
                "entity_id", "The thing's id; for a statement ACCOUNT/STATEMENT.", {"type": "string", "minLength": 1}
            ),
            Parameter("limit", "Rows of a page.", LIMIT),
            Parameter(
                "after",
                "The cursor that the previous page ended with: its `next`.",
                {"type": "string", "pattern": "^(0|[1-9][0-9]{0,17})$"},
            ),
        ),
        reads=("document_attachments", "document_fields"),
        answer=PAGE,
        tag="documents",
    ),
    Route(
        "POST",
        "/v1/documents/{sha256}:read",
        "read-document",
        "Read the fields of an invoice, verify its totals, and propose orders and payments that it may belong to. "
        f"Without {PERSONAL} its buyer is left out, and so are references that name nothing here.",
        WRITE,
        read,
        answers={
            200: "It says this, and history knows it.",
            404: "There is none.",
            422: "It is no invoice to a program.",
        },
        answer=SAID,
        tag="documents",
        path_schemas={"sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"}},
    ),
    Route(
        "GET",
        "/v1/documents/{sha256}",
        "get-document",
        f"A document's bytes, as a download. Needs {READ}, too; the access log records who downloaded it.",
        PERSONAL,
        show,
        answers={200: "All of it; the connection breaks where its bytes turn out to be others.", 404: "There is none."},
        answer={"type": "string"},
        media="*/*",
        tag="documents",
        path_schemas={"sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"}},
    ),
)
