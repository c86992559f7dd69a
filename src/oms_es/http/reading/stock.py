"""The reservations of a SKU at a location, each with its order; and the history of a SKU's stock, event by event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from starlette.responses import Response

from oms_es.aggregates.stock.quantities import Stock
from oms_es.history import as_of
from oms_es.http.errors import NoResource
from oms_es.http.reading.tables import page_of, page_schema
from oms_es.http.requests import Asked
from oms_es.http.routing import Route
from oms_es.reports import names

SHOWN_MAX = 1_000
STEPS_MAX = 1_000


async def list_reservations(asked: Asked) -> Response:
    """Answer with the reservations, from the stream's state and not from a read model. Raise NoResource or
    Forbidden."""
    asked.caller.require_all_channels("reservations are of every channel")
    stream = f"stock-{asked.values['sku']}@{asked.values['location']}"
    state, version = await asked.services.committer.ask(partial(asked.services.parts.store.state_of, stream))
    if not version:
        raise NoResource("there has never been any of this SKU there")
    rows = _rows(state)
    called = await asked.read(lambda connection: names.called_each(connection, {row["order_id"] for row in rows}))
    return page_of(asked, [{**row, "order": called.get(row["order_id"])} for row in rows], None)


def _rows(stock: Stock) -> list[dict[str, Any]]:
    """Return the reservations as rows, the oldest first."""
    held = sorted(stock.reserved.items(), key=lambda pair: (pair[1].since, pair[0]))[:SHOWN_MAX]
    return [
        {
            "reservation_id": key,
            "order_id": one.order_id,
            "quantity": one.quantity,
            "channel": one.channel,
            "presale": one.presale,
            "expires_at": one.expires_at,
        }
        for key, one in held
    ]


async def list_steps(asked: Asked) -> Response:
    """Answer with the newest events of a SKU's stock. Raise NoResource or Forbidden."""
    asked.caller.require_all_channels("what happened to stock is of every channel")
    sku, codec = asked.values["sku"], asked.services.codec
    rows = await asked.read(lambda connection: as_of.stock_steps(connection, codec, sku, STEPS_MAX))
    if not rows:
        raise NoResource("there has never been any of this SKU")
    return page_of(asked, rows, None)


TEXT: Mapping[str, Any] = {"type": "string"}
INTEGER: Mapping[str, Any] = {"type": "integer"}
ROUTES: Sequence[Route] = (
    Route(
        "GET",
        "/v1/stock/{sku}/{location}/reservations",
        "list-reservations",
        f"The reservations of a SKU at a location, the oldest first, {SHOWN_MAX:,} at most.",
        "stock:read",
        list_reservations,
        answers={200: "They are these.", 404: "There has never been any."},
        answer=page_schema(
            {
                "type": "object",
                "properties": {
                    **dict.fromkeys(("reservation_id", "order_id", "channel"), TEXT),
                    "quantity": {"type": "integer"},
                    "presale": {"type": "boolean"},
                    "expires_at": {"anyOf": [{**TEXT, "format": "date-time"}, {"type": "null"}]},
                    "order": {"anyOf": [TEXT, {"type": "null"}], "description": "CHANNEL/EXTERNAL_ID."},
                },
            }
        ),
        tag="stock",
    ),
    Route(
        "GET",
        "/v1/stock-history/{sku}",
        "stock-history",
        f"The last {STEPS_MAX:,} events of a SKU's stock, each with the level at its location after it.",
        "stock:read",
        list_steps,
        reads=("stock_levels",),
        answers={200: "They are these.", 404: "There has never been any."},
        answer=page_schema(
            {
                "type": "object",
                "properties": {
                    **dict.fromkeys(("event", "location"), TEXT),
                    "recorded_at": {**TEXT, "format": "date-time"},
                    **dict.fromkeys(("position", "on_hand", "reserved", "atp", "inbound"), INTEGER),
                },
            }
        ),
        tag="stock",
    ),
)
