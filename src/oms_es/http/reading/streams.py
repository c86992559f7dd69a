"""Live status of orders and stock as Server-Sent Events, resumed by position.

Invariant: what is sent is folded from history; therefore a stream that resumes after a position continues the one that
was interrupted, without gap or repeat. The server keeps only a reader's position: all readers share one bounded window,
and a reader that does not read is disconnected.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from pydantic_core import to_json
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse
from starlette.responses import Response

from oms_es.http.access import PERSONAL, Caller
from oms_es.http.errors import Malformed
from oms_es.http.reading.pages import own_order
from oms_es.http.reading.tail import Change, Wanted
from oms_es.http.requests import NUMBER, Asked
from oms_es.http.routing import Parameter, Route
from oms_es.http.services import Services
from oms_es.http.writing.checks import named_order

PING_SECONDS = 15
AUDIENCES_MAX = 20
"""Encoded forms of a change that are cached: one for each set of callers who see the same of it."""
SEND_SECONDS_MAX = 20.0
RETRY_MS = 2_000


async def follow_orders(asked: Asked) -> Response:
    channel, channels = asked.one("channel"), asked.caller.channels

    def wanted(change: Change) -> bool:
        visible = channels is None or change.channel in channels
        return change.kind == "order" and visible and channel in (None, change.channel)

    return await _stream(asked, wanted, "order.status")


async def follow_order(asked: Asked) -> Response:
    order_id, _ = named_order(asked.values["order"])
    await asked.read(lambda connection: own_order(connection, order_id, asked.caller))
    return await _stream(asked, lambda change: change.kind == "order" and change.key == (order_id,), "order.status")


async def follow_stock(asked: Asked) -> Response:
    sku, location = asked.one("sku"), asked.one("location")

    def wanted(change: Change) -> bool:
        named = change.kind == "stock" and sku in (None, change.key[0])
        return named and location in (None, change.key[1])

    return await _stream(asked, wanted, "stock.levels")


async def _stream(asked: Asked, wanted: Wanted, name: str) -> Response:
    """Open a live stream. Raise Malformed for a bad position, Busy if too many streams are open."""
    tail = asked.services.tail
    after = _position(asked)
    following = tail.following(asked.caller)
    await following.__aenter__()
    try:
        end = await tail.end()
    except BaseException:
        await following.__aexit__(None, None, None)
        raise

    async def messages() -> AsyncIterator[bytes]:
        try:
            position = end if after is None else after
            yield ServerSentEvent(comment="following", id=str(position), retry=RETRY_MS).encode()
            while not asked.services.stopping.is_set():
                changes, position = await tail.after(position, wanted)
                for change in changes:
                    yield encoded(asked.services, change, name, asked.caller)
                await tail.end()
        finally:
            await following.__aexit__(None, None, None)

    return EventSourceResponse(
        messages(),
        ping=PING_SECONDS,
        send_timeout=SEND_SECONDS_MAX,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def encoded(services: Services, change: Change, name: str, caller: Caller) -> bytes:
    """Return the change as an encoded event; encoded once for all callers who may see the same of it."""
    audience = (name, PERSONAL in caller.scopes, caller.channels)
    known = change.encoded.get(audience)
    if known is None:
        shown = services.shown({**change.row, "position": change.position}, caller)
        known = ServerSentEvent(to_json(shown).decode(), event=name, id=str(change.position)).encode()
        if len(change.encoded) < AUDIENCES_MAX:
            change.encoded[audience] = known
    return known


def _position(asked: Asked) -> int | None:
    """Return the position after which the client resumes, or None for a new stream. Raise Malformed."""
    text = asked.header("last-event-id") or asked.one("after")
    if text is None:
        return None
    if not NUMBER.fullmatch(text):
        raise Malformed("Last-Event-ID must be a position that the stream sent")
    return int(text)


AFTER = Parameter("after", "The position after which to begin, as in Last-Event-ID.", {"type": "integer", "minimum": 0})
ROUTES = (
    Route(
        "GET",
        "/v1/streams/orders",
        "stream-orders",
        "Changes of orders' status, from now on or after a position, as Server-Sent Events.",
        "orders:read",
        follow_orders,
        (Parameter("channel", "Only orders of this channel."), AFTER),
        tag="streams",
        is_stream=True,
        media="text/event-stream",
    ),
    Route(
        "GET",
        "/v1/streams/orders/{order}",
        "stream-order",
        "Changes of one order's status, as Server-Sent Events.",
        "orders:read",
        follow_order,
        (AFTER,),
        answers={200: "It is this.", 404: "There is no such order."},
        tag="streams",
        is_stream=True,
        media="text/event-stream",
    ),
    Route(
        "GET",
        "/v1/streams/stock",
        "stream-stock",
        "Changes of stock, as Server-Sent Events.",
        "stock:read",
        follow_stock,
        (Parameter("sku", "Only changes of this SKU."), Parameter("location", "Only changes at this location."), AFTER),
        tag="streams",
        is_stream=True,
        media="text/event-stream",
    ),
)
