"""One whole order, payment, parcel, return, location or SKU; lists of orders; why an order ships from where it does.

Invariant: a caller who may not see personal data gets neither names nor addresses; each view of personal data is
recorded before it is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from starlette.responses import Response

from oms_es.app import PROJECTIONS
from oms_es.history import as_of
from oms_es.history.moments import position_of
from oms_es.history.why import sourcing_of
from oms_es.http.access import PERSONAL, Caller
from oms_es.http.errors import BadCursor, BadParameter, NoResource, NotYet
from oms_es.http.reading.dated import AT
from oms_es.http.reading.tables import (
    AFTER,
    LIMIT,
    SINCE,
    UNTIL,
    page_of,
    page_schema,
    require_visible,
    row_schema,
)
from oms_es.http.requests import Asked
from oms_es.http.routing import Parameter, Route
from oms_es.http.writing.checks import named_order
from oms_es.kernel import Refused
from oms_es.projections.order import order_status
from oms_es.reports import lists, order_list, queries, single
from oms_es.reports.needs import needs_of
from oms_es.reports.order_list import Cursor
from oms_es.reports.queries import Connection, Row, readable
from oms_es.reports.streams import At
from oms_es.reports.timelines import timeline
from oms_es.schemas.refusals import SharedRefusal
from oms_es.store.encoding.codec import Codec
from oms_es.store.recorder import EVENTS

MOMENT: Mapping[str, Any] = {"type": "string", "format": "date-time"}
EXPANSIONS = (
    *("lines", "ship_to", "payments", "shipments", "returns", "exceptions", "timeline", "why", "waits_for", "needs"),
    "notes",
)
OF_A_PERSON = frozenset({"ship_to", "notes"})
EXPAND = Parameter(
    "expand",
    "A further part of the order to show; may be repeated.",
    {"type": "string", "enum": list(EXPANSIONS)},
    many=True,
)
TABLES = {projection.name: projection.table for projection in PROJECTIONS}
ONE_ORDER = f"""
SELECT s.*, n.name AS order_number, (SELECT max(originator_version) FROM {EVENTS} e
    WHERE e.originator_id = 'order-' || s.order_id) AS version
FROM order_status s LEFT JOIN order_numbers n USING (order_id) WHERE s.order_id = %s
"""


PLACED = f"SELECT FROM {EVENTS} WHERE originator_id = %s AND topic = 'OrderPlaced' LIMIT 1"
"""Finds whether an order was placed: its stream may begin earlier, with reports that came before the order."""


def no_order() -> Refused:
    return Refused(SharedRefusal.UNKNOWN_ORDER, "there is no such order; name it by its id, or as CHANNEL~EXTERNAL_ID")


BY_PERSON = ("name", "postal_code", "customer", "email", "q")
"""Parameters whose answers reveal something about a person."""


async def list_orders(asked: Asked) -> Response:
    """Answer with a page of orders. Raise BadParameter, or Forbidden for personal filters without the scope."""
    wanted = _wanted(asked)
    if any(asked.one(name) is not None for name in BY_PERSON):
        asked.caller.require(PERSONAL)
        await asked.note_personal("orders")
    if (text := asked.one("q")) is not None:
        if asked.at() is not None:
            raise BadParameter("q", "names are looked for as they are now; leave out q, or at")
        found = await asked.read(lambda connection: order_list.found(connection, asked.services.codec, text.strip()))
        return page_of(asked, [readable(row) for row in found if _is_own(asked.caller, row)], None)
    return await order_page(asked, wanted)


async def order_page(asked: Asked, wanted: order_list.Asked) -> Response:
    """Answer with the page of orders after the request's cursor. Raise BadCursor."""
    going_on = wanted._replace(after=_cursor(asked))
    page = await asked.read(lambda connection: _page(connection, going_on, asked.caller, asked.limit()))
    return page_of(asked, [readable(row) for row in page.orders], page.after and str(page.after))


def _cursor(asked: Asked) -> Cursor | None:
    after = asked.one("after")
    try:
        return None if after is None else Cursor.read(after)
    except ValueError:
        raise BadCursor("after", "copy the cursor that the page before ended with") from None


def _is_own(caller: Caller, row: Row) -> bool:
    return caller.channels is None or row["channel"] in caller.channels


def _page(connection: Connection, wanted: order_list.Asked, caller: Caller, limit: int) -> order_list.Page:
    """Return a page of orders that the caller may see; for several channels, one page of each is read and merged."""
    channels = caller.channels
    if channels is None or (wanted.channel is not None and wanted.channel in channels):
        return order_list.page(connection, wanted, limit)
    of = sorted(channels) if wanted.channel is None else []
    pages = [order_list.page(connection, wanted._replace(channel=channel), limit) for channel in of]
    rows = [row for page in pages for row in page.orders]
    rows.sort(key=lambda row: (row["placed_at"], row["order_id"]), reverse=True)
    more = len(rows) > limit or any(page.after for page in pages)
    shown = rows[:limit]
    return order_list.Page(shown, Cursor(shown[-1]["placed_at"], shown[-1]["order_id"]) if more and shown else None)


def _wanted(asked: Asked) -> order_list.Asked:
    phases = asked.many("phase")
    for phase in phases:
        if phase not in order_list.PHASES:
            raise BadParameter("phase", f"write one of {', '.join(order_list.PHASES)}")
    names = ("channel", "sku", "hold", "name", "postal_code", "country", "email")
    given: dict[str, Any] = {name: asked.one(name) for name in names}
    customer = asked.one("customer")
    since, until = asked.moment(f"placed_at{SINCE}"), asked.moment(f"placed_at{UNTIL}")
    return order_list.Asked(
        phases=phases,
        since=since,
        until=until,
        customer=None if customer is None else customer_in("customer", customer),
        **given,
    )


def customer_in(name: str, text: str) -> order_list.Customer:
    """Return the customer that a parameter names. Raise BadParameter."""
    try:
        return order_list.Customer.read(text)
    except ValueError:
        raise BadParameter(name, "write CHANNEL~ID, with the id that the channel has for the customer") from None


async def show_order(asked: Asked) -> Response:
    order_id, _ = named_order(asked.values["order"])
    at = asked.at()
    expand = asked.many("expand")
    for name in expand:
        if name not in EXPANSIONS:
            raise BadParameter("expand", f"write one of {', '.join(EXPANSIONS)}")
    if OF_A_PERSON.intersection(expand):
        asked.caller.require(PERSONAL)
        await asked.note_personal(order_id)
    found = await asked.read(lambda c: _order(c, asked.services.codec, order_id, at, expand, asked.caller))
    return asked.json(found, headers={"ETag": f'"{found["version"]}"'} if at is None else {})


def _order(
    connection: Connection, codec: Codec, order_id: str, at: At | None, expand: Sequence[str], caller: Caller
) -> dict[str, Any]:
    """Return an order with its expansions, now or as of `at`. Raise Refused or NotYet."""
    row = own_order(connection, order_id, caller)
    shown = readable(row)
    if at is not None:
        asked_at, at = at, position_of(connection, at)
        then = as_of.order(connection, codec, order_id, at)
        if then.status is None:
            raise no_order()
        shown = {**readable(then.status), "at": asked_at}
        parts: dict[str, Any] = {"exceptions": then.exceptions, "timeline": then.timeline}
    else:
        parts = {}
    return {**shown, **_expanded(connection, codec, order_id, at, expand, shown, parts)}


def own_order(connection: Connection, order_id: str, caller: Caller) -> Row:
    """Return the order's row. Raise Refused if no such order is visible to the caller, NotYet if no read model has it
    yet."""
    row = connection.execute(ONE_ORDER.encode(), [order_id]).fetchone()
    if (
        row is None
        and caller.channels is None
        and connection.execute(PLACED.encode(), [f"order-{order_id}"]).fetchone() is not None
    ):
        raise NotYet("the order is accepted, and no engine has worked on it yet")
    if row is None or not _is_own(caller, row):
        raise no_order()
    return row


def _expanded(
    connection: Connection,
    codec: Codec,
    order_id: str,
    at: At | None,
    expand: Sequence[str],
    order: Mapping[str, Any],
    parts: Mapping[str, Any],
) -> dict[str, Any]:
    shown = dict(parts)
    folded = {"lines", "ship_to", "payments", "shipments", "waits_for", "needs"}
    if folded & set(expand) and (whole := single.whole_order(connection, codec, order_id, at)):
        details = {**whole.details, "shipments": whole.details["parcels"]}
        if "lines" in expand:
            charges = {name: details[name] for name in single.CHARGES}
            shown |= {"lines": details["lines"], "charges": charges, "delivery_option": details["delivery_option"]}
        shown |= {name: details[name] for name in ("ship_to", "payments", "shipments") if name in expand}
        if {"waits_for", "needs"} & set(expand) and at is None:
            name = f"{order['channel']}/{order['external_id']}"
            needs = needs_of(connection, codec, name, whole.folded, whole.events)
            waits = {"waits_for": [need.sentence for need in needs], "needs": [need.as_json() for need in needs]}
            shown |= {name: value for name, value in waits.items() if name in expand}
    readers: Mapping[str, Callable[[], Any]] = {
        "returns": lambda: lists.page(connection, lists.RETURNS, lists.Asked(order_id=order_id), 100).rows,
        "exceptions": lambda: queries.exceptions_of(connection, order_id),
        "timeline": lambda: timeline(connection, codec, order_id).entries,
        "notes": lambda: queries.notes_of(connection, order_id, at),
        "why": lambda: [step.as_json() for step in sourcing_of(connection, codec, order_id)],
    }
    shown |= {name: read() for name, read in readers.items() if name in expand and name not in parts}
    return shown


async def part_of_order(name: str, asked: Asked) -> Response:
    """Answer with one expansion of an order as a resource of its own."""
    order_id, _ = named_order(asked.values["order"])

    def read(connection: Connection) -> Any:
        row = own_order(connection, order_id, asked.caller)
        return _expanded(connection, asked.services.codec, order_id, None, [name], row, {})[name]

    return asked.json({"items": await asked.read(read), "next": None})


Find = Callable[[Connection, Codec, str, At | None], single.Single | None]


async def show_single(find: Find, key: str, asked: Asked) -> Response:
    """Answer with one entity, such as a payment or a location, and its history. Raise NoResource."""
    name, at = asked.values[key], asked.at()
    codec, caller = asked.services.codec, asked.caller

    def read(connection: Connection) -> single.Single:
        thing = find(connection, codec, name, None if at is None else position_of(connection, at))
        if thing is None:
            raise NoResource(f"there is no such {key}")
        if caller.channels is not None and "order_id" in thing.facts:
            own_order(connection, thing.facts["order_id"], caller)
        return thing

    thing = await asked.read(read)
    if PERSONAL in caller.scopes and "ship_to" in thing.facts:
        await asked.note_personal(name)
    shown = {**thing.facts, "parts": thing.parts, "history": thing.history}
    if caller.channels is not None and "order_id" not in thing.facts:
        del shown["history"]
    return asked.json(shown)


async def show_stock(asked: Asked) -> Response:
    """Answer with the stock of a SKU at every location."""
    require_visible(TABLES["stock_levels"], asked.caller)
    sku, at = asked.values["sku"], asked.at()
    codec = asked.services.codec

    def read(connection: Connection) -> dict[str, Any]:
        if at is not None:
            then = as_of.stock(connection, codec, sku, position_of(connection, at))
            return {"levels": then.levels, "places": then.places, "serials": then.serials}
        levels, places = queries.stock_of(connection, sku), queries.places_of(connection, sku)
        return {"levels": levels, "places": places, "serials": queries.numbered_at(connection, sku)}

    found = await asked.read(read)
    if not found["levels"]:
        raise NoResource("there has never been any of this SKU, or not at that moment")
    if asked.caller.channels is not None:
        found = {"levels": found["levels"]}
    return asked.json({"sku": sku, **found})


ORDER_ROW = row_schema(order_status.table)
SINGLES: Sequence[tuple[str, str, Find, str]] = (
    ("payments", "payment", single.payment, "payments"),
    ("shipments", "shipment", single.parcel, "shipments"),
    ("returns", "return", single.goods_back, "returns"),
    ("locations", "location", single.location, "catalog"),
)
ROUTES = (
    Route(
        "GET",
        "/v1/orders",
        "list-orders",
        "Orders, the newest first, a page at a time; `q` finds orders by any of their names.",
        "orders:read",
        list_orders,
        (
            Parameter(
                "phase",
                "Only orders in this phase; may be repeated.",
                {"type": "string", "enum": list(order_list.PHASES)},
                many=True,
            ),
            Parameter("channel", "Only orders of this channel."),
            Parameter("sku", "Only orders that have, or had, a line with this SKU."),
            Parameter("hold", "Only orders with a hold of this kind."),
            Parameter("name", f"Only orders for a recipient of this name; needs {PERSONAL}."),
            Parameter("postal_code", f"Only orders for this postal code; needs {PERSONAL}."),
            Parameter("country", "Only orders for this country."),
            Parameter("customer", f"Only orders of this customer, named as CHANNEL~ID; needs {PERSONAL}."),
            Parameter("email", f"Only orders with this e-mail address; needs {PERSONAL}."),
            Parameter(f"placed_at{SINCE}", "Only orders placed then or later.", MOMENT),
            Parameter(f"placed_at{UNTIL}", "Only orders placed before then.", MOMENT),
            AT,
            Parameter("q", f"A number, an id, a tracking number, a reference, a SKU or a name; needs {PERSONAL}."),
            LIMIT,
            AFTER,
        ),
        reads=("order_status", "order_numbers", "order_recipients", "order_skus"),
        is_dated=True,
        answer=page_schema(ORDER_ROW),
        tag="orders",
    ),
    Route(
        "GET",
        "/v1/orders/{order}",
        "get-order",
        "An order's status, now or as of a moment. The order is named by its id, or as CHANNEL~EXTERNAL_ID.",
        "orders:read",
        show_order,
        (EXPAND, AT),
        reads=("order_status", "order_numbers", "order_timeline", "order_notes", "open_exceptions", "returns"),
        answers={200: "It is this.", 404: "There is none."},
        answer=ORDER_ROW,
        tag="orders",
    ),
    *(
        Route(
            "GET",
            f"/v1/orders/{{order}}/{name}",
            f"order-{name}",
            what,
            "orders:read",
            partial(part_of_order, name),
            reads=("order_status", "order_timeline", "open_exceptions"),
            answers={200: "It is this.", 404: "There is no such order."},
            answer=page_schema({"type": "object"}),
            tag="orders",
        )
        for name, what in (
            ("timeline", "The timeline of an order: each event with its cause."),
            ("why", "Why an order ships from where it does: every sourcing attempt with its candidates."),
            ("exceptions", "The open exceptions of an order."),
        )
    ),
    *(
        Route(
            "GET",
            f"/v1/{path}/{{{key}}}",
            f"get-{key}",
            f"One {key}, and what happened to it, now or at a moment.",
            f"{family}:read",
            partial(show_single, find, key),
            (AT,),
            reads=("order_status",),
            answers={200: "It is this.", 404: "There is none."},
            tag=family,
        )
        for path, key, find, family in SINGLES
    ),
    Route(
        "GET",
        "/v1/stock/{sku}",
        "get-stock-of-sku",
        "The stock of a SKU at each location, now or as of a moment.",
        "stock:read",
        show_stock,
        (AT,),
        reads=("stock_levels", "stock_places", "serial_numbers"),
        answers={200: "It is this.", 404: "There has never been any."},
        tag="stock",
    ),
)
