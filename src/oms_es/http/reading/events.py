"""The log over HTTP, for followers without Kafka: every event after a position, in order, with long polling.

Invariant: a follower that continues from `next` misses nothing and gets nothing twice, as positions rise in the order
of commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic_core import from_json
from starlette.responses import Response

from oms_es.http.access import EVENTS as EVENTS_SCOPE
from oms_es.http.access import PERSONAL
from oms_es.http.errors import BadParameter, Forbidden
from oms_es.http.reading.pages import own_order
from oms_es.http.reading.tables import LIMIT, page_of, page_schema
from oms_es.http.requests import Asked
from oms_es.http.routing import Parameter, Route
from oms_es.http.writing.checks import named_order
from oms_es.reports.queries import Connection
from oms_es.reports.streams import end_of_log
from oms_es.schemas.values.parts import parts_of, take_out
from oms_es.schemas.vocabulary import EVENTS as VOCABULARY
from oms_es.store.archive.reading import whole
from oms_es.store.encoding.codec import Codec, opened
from oms_es.store.recorder import EVENTS

POSITION_MAX = 10**18 - 1
SCANNED_MAX = 5_000
"""Events that one request scans at most while it looks for the types that are asked for."""
WAIT_SECONDS_MAX = 20
EVENTS_MAX = 1_000
POSITION: Mapping[str, Any] = {"type": "integer", "minimum": 0}
TYPE: Mapping[str, Any] = {"type": "string", "enum": sorted(VOCABULARY)}
REFRESH_SECONDS = 0.25
PAGE_OF_EVENTS = f"""
SELECT notification_id, originator_id, originator_version, topic, state FROM {EVENTS}
WHERE notification_id > %(after)s AND notification_id <= %(scanned)s
AND (%(types)s::text[] IS NULL OR topic = ANY(%(types)s)) AND (%(stream)s::text IS NULL OR originator_id = %(stream)s)
ORDER BY notification_id LIMIT %(limit)s
"""


async def follow(asked: Asked) -> Response:
    """Answer with the events after a position. Raise BadParameter, or Forbidden for a key of some channels."""
    if asked.caller.channels is not None:
        raise Forbidden("the log has events of all channels, and the key is limited to some; follow /v1/streams/orders")
    types = asked.many("type")
    for name in types:
        if name not in VOCABULARY:
            raise BadParameter("type", "there is no such event; see the list of messages")
    after, wait = asked.number("after", 0, POSITION_MAX), asked.number("wait", 0, WAIT_SECONDS_MAX)
    limit = asked.limit(EVENTS_MAX)
    values = {"types": types or None, "stream": asked.one("stream"), "limit": limit}
    loop = asyncio.get_running_loop()
    until = loop.time() + wait
    while True:
        items, after = await asked.read(
            partial(
                page, codec=asked.services.codec, after=after, values=values, hides=PERSONAL not in asked.caller.scopes
            )
        )
        if items or loop.time() >= until or asked.services.stopping.is_set():
            break
        await asyncio.sleep(REFRESH_SECONDS)
    if items and PERSONAL in asked.caller.scopes:
        await asked.note_personal(f"events {items[0]['position']}-{items[-1]['position']}")
    return asked.json({"items": items, "next": after})


def page(
    connection: Connection, codec: Codec, after: int, values: dict[str, Any], *, hides: bool
) -> tuple[list[dict[str, Any]], int]:
    """Return the events, and the position from which the next request continues."""
    scanned = min(end_of_log(connection), after + SCANNED_MAX)
    rows = connection.execute(PAGE_OF_EVENTS.encode(), {**values, "after": after, "scanned": scanned}).fetchall()
    items = [_shown(codec, row, hides=hides) for row in rows]
    if len(items) == values["limit"]:
        return items, items[-1]["position"]
    return items, max(after, scanned)


async def of_order(asked: Asked) -> Response:
    """Answer with a page of an order's events. Raise Refused if there is no such order."""
    order_id, _ = named_order(asked.values["order"])
    after, limit = asked.number("after", 0, POSITION_MAX), asked.limit()

    def read(connection: Connection) -> list[dict[str, Any]]:
        own_order(connection, order_id, asked.caller)
        return connection.execute(EVENTS_OF_ORDER.encode(), [order_id, after, limit + 1]).fetchall()

    rows = await asked.read(read)
    hides = PERSONAL not in asked.caller.scopes
    if rows and not hides:
        await asked.note_personal(order_id)
    more = str(rows[limit - 1]["notification_id"]) if len(rows) > limit else None
    return page_of(asked, [_shown(asked.services.codec, row, hides=hides) for row in rows[:limit]], more)


EVENTS_OF_ORDER = f"""
SELECT notification_id, originator_id, originator_version, topic, state FROM order_timeline
JOIN {EVENTS} ON originator_id = stream AND originator_version = version
WHERE order_id = %s AND position > %s ORDER BY position LIMIT %s
"""


def _shown(codec: Codec, row: dict[str, Any], *, hides: bool) -> dict[str, Any]:
    """Return the event; with placeholders for what is personal if that is to be hidden."""
    event, envelope = opened(codec.in_the_clear(whole(bytes(row["state"]))))
    data = from_json(event)
    if hides:
        take_out(data, parts_of(VOCABULARY[row["topic"]]))
    return {
        "position": row["notification_id"],
        "stream": row["originator_id"],
        "version": row["originator_version"],
        "type": row["topic"],
        **envelope,
        "data": data,
    }


ROUTES = (
    Route(
        "GET",
        "/v1/orders/{order}/events",
        "order-events",
        "The events of an order from all streams, in the log's order.",
        EVENTS_SCOPE,
        of_order,
        (LIMIT, Parameter("after", "The position after which to begin.", POSITION)),
        answers={200: "It is this.", 404: "There is no such order."},
        answer=page_schema({"type": "object"}),
        reads=("order_status", "order_timeline"),
        tag="orders",
    ),
    Route(
        "GET",
        "/v1/events",
        "list-events",
        "The events after a position, in the log's order. If there are none, wait for up to `wait` "
        "seconds. Continue from `next`.",
        EVENTS_SCOPE,
        follow,
        (
            Parameter("after", "The position after which to begin: 0, or the `next` of the last answer.", POSITION),
            Parameter("type", "Only events of this type; may be repeated.", TYPE, many=True),
            Parameter("stream", "Only events of this stream, such as order-ID."),
            Parameter(
                "wait",
                "Seconds to wait for events if there are none.",
                {"type": "integer", "minimum": 0, "maximum": WAIT_SECONDS_MAX},
            ),
            Parameter("limit", "Events of a page.", {"type": "integer", "minimum": 1, "maximum": EVENTS_MAX}),
        ),
        answer={
            "type": "object",
            "properties": {"items": {"type": "array", "items": {"type": "object"}}, "next": {"type": "integer"}},
            "required": ["items", "next"],
        },
        tag="events",
    ),
)
