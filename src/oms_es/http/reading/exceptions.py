"""Open exceptions over HTTP: their number by kind, each with its assignee, and what people did about them.

Invariant: an exception that a person resolved is not open until it is raised again. A key of some channels sees the
exceptions of their orders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from oms_es.http.errors import BadCursor, NoResource
from oms_es.http.reading.dated import AT
from oms_es.http.reading.tables import AFTER, LIMIT, page_of, page_schema, row_schema
from oms_es.http.requests import Asked
from oms_es.http.routing import Parameter, Route
from oms_es.http.writing.checks import named_order
from oms_es.projections.operations import open_exceptions
from oms_es.reports.operations import exceptions
from oms_es.reports.order_list import Cursor
from oms_es.reports.queries import Connection, Row

READ = "operations:read"
READS = ("open_exceptions", "exception_history", "order_status")


async def list_exceptions(asked: Asked) -> Response:
    """Answer with a page of open exceptions. Raise BadCursor."""
    order = asked.one("order")
    wanted = exceptions.Asked(
        asked.one("kind"),
        order and named_order(order)[0],
        asked.one("assignee"),
        _cursor(asked.one("after")),
        _channels(asked),
        asked.flag("snoozed"),
    )
    limit = asked.limit()
    rows = await asked.read(lambda connection: exceptions.page(connection, wanted, limit + 1))
    after = _after(rows[limit - 1]) if len(rows) > limit else None
    return page_of(asked, rows[:limit], after)


async def count_kinds(asked: Asked) -> Response:
    channels = _channels(asked)
    return page_of(asked, await asked.read(lambda connection: exceptions.by_kind(connection, channels)), None)


async def show_exception(asked: Asked) -> Response:
    """Answer with one exception and its history. Raise NoResource if it is not open, or not of the caller's
    channels."""
    exception_id = asked.values["exception_id"]

    def read(connection: Connection) -> tuple[Row | None, list[Row], exceptions.Conflict | None]:
        row, past = exceptions.one(connection, exception_id), exceptions.seen_to(connection, exception_id)
        conflict = exceptions.conflict_of_exception(connection, asked.services.codec, exception_id) if row else None
        return row, past, conflict

    row, past, conflict = await asked.read(read)
    if row is None or (asked.caller.channels is not None and row["channel"] not in asked.caller.channels):
        raise NoResource("no such exception is open any more; GET /v1/exceptions lists those that are")
    differences = [_difference(one) for one in conflict.differences] if conflict else []
    return asked.json({**row, "history": past, "differences": differences})


def _difference(one: exceptions.Difference) -> dict[str, Any]:
    """Return a difference without its values if they are personal: the order's own page shows those, and records who
    saw them."""
    if one.is_personal:
        return {"field": one.field, "ours": None, "theirs": None, "personal": True}
    return {**one._asdict(), "personal": False}


def _channels(asked: Asked) -> list[str] | None:
    return None if asked.caller.channels is None else sorted(asked.caller.channels)


def _after(row: Row) -> str:
    return f"{row['raised_at'].isoformat()}~{row['exception_id']}"


def _cursor(text: str | None) -> Cursor | None:
    try:
        return None if text is None else Cursor.read(text)
    except ValueError:
        detail = "copy the cursor that the page before ended with, and keep the same filters"
        raise BadCursor("after", detail) from None


TEXT: Mapping[str, Any] = {"type": "string"}
OPTIONAL: Mapping[str, Any] = {"anyOf": [TEXT, {"type": "null"}]}
OPEN = row_schema(open_exceptions.table)
LISTED: Mapping[str, Any] = {
    **OPEN,
    "properties": {
        **OPEN["properties"],
        **dict.fromkeys(("assignee", "assigned_note", "channel", "external_id"), OPTIONAL),
        "snoozed_until": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
    },
}
KIND: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "kind": TEXT,
        "open": {"type": "integer"},
        "snoozed": {"type": "integer", "description": "Put off, and not counted among the open ones."},
        "assigned": {"type": "integer"},
        "oldest_at": {"type": "string", "format": "date-time"},
    },
}
DIFFERENCES: Mapping[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "field": TEXT,
            "ours": {"description": "As the order is; null where it has none, or is personal."},
            "theirs": {"description": "As its channel sent it, the newest other content; null likewise."},
            "personal": {"type": "boolean"},
        },
    },
}
ROUTES: Sequence[Route] = (
    Route(
        "GET",
        "/v1/exceptions",
        "list-exceptions",
        "Open exceptions with their assignees, the longest open first.",
        READ,
        list_exceptions,
        (
            Parameter("kind", "Only exceptions of this kind, such as backordered."),
            Parameter("order", "Only exceptions of this order, by its id or as CHANNEL~EXTERNAL_ID."),
            Parameter("assignee", "Only exceptions assigned to this person."),
            Parameter("snoozed", "Whether to list snoozed exceptions instead.", {"type": "boolean"}),
            LIMIT,
            Parameter("after", AFTER.description),
        ),
        reads=READS,
        answer=page_schema(LISTED),
        tag="operations",
    ),
    Route(
        "GET",
        "/v1/exceptions/kinds",
        "count-exceptions",
        f"Open exceptions by kind, with their number and the oldest; of the {exceptions.COUNTED_MAX:,} oldest.",
        READ,
        count_kinds,
        reads=READS,
        answer=page_schema(KIND),
        tag="operations",
    ),
    Route(
        "GET",
        "/v1/exceptions/{exception_id}",
        "get-exception",
        "One open exception, and what people did about it; for an order that was sent twice, with the differences.",
        READ,
        show_exception,
        (AT,),
        is_dated=True,
        answers={200: "It is this.", 404: "None of that id is open."},
        answer={
            **LISTED,
            "properties": {**LISTED["properties"], "history": {"type": "array"}, "differences": DIFFERENCES},
        },
        reads=READS,
        tag="operations",
    ),
)
