"""`show` for one order, payment, shipment, return or location; and lists of locations and stock."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from oms_es import rendering as display
from oms_es.app.verbs import id_of
from oms_es.cli.desk.then import position_then
from oms_es.cli.terminal import (
    AtPosition,
    Json,
    OrderName,
    at_of,
    not_known_at,
    print_json,
    reading,
    say,
    say_more,
    set_up,
)
from oms_es.errors import NotFound
from oms_es.history import as_of
from oms_es.history.why import sourcing_of
from oms_es.reports import names, queries, single
from oms_es.reports.needs import NO_LOCATION, waits_for
from oms_es.reports.streams import At
from oms_es.reports.timelines import timeline
from oms_es.schemas.order import OrderMergeFailed, OrderMergeRequested, OrderPlaced
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec

STOCK_PAGE_MAX = 1_000
Find = Callable[[queries.Connection, Codec, str, At | None], single.Single | None]
Ids = Callable[[queries.Connection, Codec, str], Sequence[str]]


def show_order(order: OrderName, *, at: AtPosition = None, json: Json = False) -> None:
    """An order's status, now or as of a moment: its lines, what it waits for, and everything that happened to it."""
    moment = at_of(at)
    with reading(set_up()) as connection:
        codec = Codec(EVENTS).over(connection)
        found, position = order_named(connection, order), position_then(connection, moment)
        if moment is not None and position is not None:
            then, exceptions, entries = as_of.order(connection, codec, found["order_id"], position)
            if then is None:
                raise not_known_at(f"order {order}", moment)
            found = then
        else:
            entries = timeline(connection, codec, found["order_id"]).entries
            exceptions = queries.exceptions_of(connection, found["order_id"])
        name = f"{found['channel']}/{found['external_id']}"
        whole = single.whole_order(connection, codec, found["order_id"], position)
        waits = waits_for(connection, codec, name, whole.folded, whole.events) if whole and moment is None else []
        notes = queries.notes_of(connection, found["order_id"], position)
    details = whole.details if whole else {}
    if json:
        document = {"order": found, **details, "waits_for": waits, "exceptions": exceptions, "timeline": entries}
        print_json({**document, "notes": notes})
        return
    parts = [display.order_lines(found, exceptions, waits), *_order_parts(found, details)]
    if notes:
        noted = [(display.moment(note["recorded_at"]), note["actor"], note["note_text"]) for note in notes]
        parts.append(display.grid("Notes", noted, "time (UTC)", "by", "note"))
    display.console_on(sys.stdout).print(*parts, display.story(found, entries), sep="\n")


def _order_parts(found: Mapping[str, Any], details: Mapping[str, Any]) -> Sequence[RenderableType]:
    if not details:
        return []
    currency = found["currency"]
    lines = [
        (
            line["line_id"],
            line["sku"],
            line["quantity"],
            display.money(line["unit_price_minor"], currency),
            display.money(line["total_minor"], currency),
        )
        for line in details["lines"]
    ]
    charges = [
        ("", name.removesuffix("_minor"), "", "", display.money(details[name] * sign, currency))
        for name, sign in (("shipping_minor", 1), ("tax_minor", 1), ("discount_minor", -1), ("credit_minor", -1))
        if details[name]
    ]
    numbers = ("units", "each", currency)
    shown: list[RenderableType] = [display.grid("Lines", [*lines, *charges], "line", "SKU", *numbers, numbers=numbers)]
    shown += [_ship_to(details["ship_to"], details["delivery_option"])]
    shown += [_payments(details["payments"], currency)] if details["payments"] else []
    shown += [_parcels(details["parcels"])] if details["parcels"] else []
    return shown


def _ship_to(address: Mapping[str, Any], delivery_option: str) -> RenderableType:
    city = " ".join(filter(None, (address["postal_code"], address["city"])))
    document = ", ".join(
        filter(None, (address["name"], address["street"], city, address["region"], address["country"]))
    )
    return display.facts([("to", document), ("delivery", delivery_option)])


def _payments(payments: Sequence[Mapping[str, Any]], currency: str) -> RenderableType:
    rows = [
        (one["payment_id"], one["method"], display.money(one["amount_minor"], currency), one["status"], one["attempt"])
        for one in payments
    ]
    return display.grid("Payments", rows, "payment", "method", currency, "status", "attempt", numbers=(currency,))


def _parcels(parcels: Sequence[Mapping[str, Any]]) -> RenderableType:
    rows = [
        (
            one["shipment_id"],
            one["location"],
            ", ".join(f"{item['quantity']} x {item['sku']}" for item in one["items"]),
            one["step"],
            " ".join(filter(None, (one["carrier"], one["tracking_number"]))),
        )
        for one in parcels
    ]
    return display.grid("Parcels", rows, "parcel", "from", "what", "status", "tracking")


def why_there(order: OrderName, *, json: Json = False) -> None:
    """Why an order ships from where it does: every sourcing attempt with its candidates, and what the order waits for
    now."""
    with reading(set_up()) as connection:
        codec = Codec(EVENTS).over(connection)
        order_id = id_of(order)
        whole = single.whole_order(connection, codec, order_id)
        if whole is None:
            raise no_order(connection, order)
        assert whole.folded.content
        name = f"{whole.folded.content.channel}/{whole.folded.content.external_id}"
        steps = sourcing_of(connection, codec, order_id)
        waits = waits_for(connection, codec, name, whole.folded, whole.events)
    if json:
        print_json([step.as_json() for step in steps])
        return
    if steps:
        display.console_on(sys.stdout).print(display.why(name, steps))
    else:
        say(f"order {name} is not sourced yet")
    if waits:
        display.console_on(sys.stdout).print(display.facts([("waits for", sentence) for sentence in waits]))


def order_named(connection: queries.Connection, name: str) -> queries.Row:
    order_id = id_of(name)
    if found := queries.order(connection, order_id):
        return found
    if said := queries.said_of(connection, order_id):
        raise NotFound(f"order {name} {_why_no_order(said)}")
    raise no_order(connection, name)


def _why_no_order(said: Sequence[str]) -> str:
    """Return why there is no such order although its stream has events: no engine has run, or it was not placed yet."""
    if OrderPlaced.__name__ in said:
        return "is accepted, but no engine has worked on it yet; start one with `oms-es run`"
    if OrderMergeFailed.__name__ in said:
        return "was to be made of others, and fewer than two could become one; `order show` of each says why"
    if OrderMergeRequested.__name__ in said:
        return "is being made of others; look again when an engine has run (`oms-es run`)"
    return "has not come: what was said of it is kept for it; see `oms-es exceptions list --kind order_missing`"


def no_order(connection: queries.Connection, name: str) -> NotFound:
    alike = names.order_like(connection, name)
    hint = f"did you mean {alike}? Otherwise name" if alike else "name"
    return NotFound(f"there is no order {name}; {hint} it by its id, or as CHANNEL/EXTERNAL_ID, or try `orders find`")


def show_payment(
    payment: Annotated[
        str, typer.Argument(metavar="PAYMENT", help="The payment's id, or its order if that has one payment.")
    ],
    *,
    at: AtPosition = None,
    json: Json = False,
) -> None:
    """A payment: what was requested, authorised, captured, refunded and disputed, with the provider's references."""
    columns = ("recorded_at", "event", "amount_minor", "reference")
    _show("payment", payment, single.payment, lambda c, _, of: names.payments_of(c, of), at, columns, json=json)


def show_shipment(
    shipment: Annotated[
        str,
        typer.Argument(
            metavar="SHIPMENT", help="The parcel's id, its tracking number, or its order if that has one parcel."
        ),
    ],
    *,
    at: AtPosition = None,
    json: Json = False,
) -> None:
    """A parcel: its status, contents and destination, and everything that happened to it."""
    _show("shipment", shipment, single.parcel, names.shipments_of, at, ("sku", "quantity"), json=json)


def show_return(
    rma: Annotated[str, typer.Argument(metavar="RETURN", help="The return's id, or its order if that has one return.")],
    *,
    at: AtPosition = None,
    json: Json = False,
) -> None:
    """A return: its lines and progress, and everything that happened to it."""
    columns = ("line_id", "quantity", "received", "inspected", "reason")
    _show("return", rma, single.goods_back, lambda c, _, of: names.returns_of(c, of), at, columns, json=json)


def _show(
    what: str, name: str, find: Find, of_order: Ids, at: str | None, columns: Sequence[str], *, json: bool
) -> None:
    moment = at_of(at)
    with reading(set_up()) as connection:
        codec = Codec(EVENTS).over(connection)
        thing_id = _id_of(connection, codec, what, name, of_order)
        thing = find(connection, codec, thing_id, position_then(connection, moment))
        if thing is None and moment is not None:
            raise not_known_at(f"{what} {name}", moment)
        if thing is None:
            raise NotFound(f"there is no {what} {name}")
        called = names.called(connection, str(thing.facts["order_id"]))
    if json:
        print_json({what: thing.facts, "order": called, "parts": thing.parts, "history": thing.history})
        return
    currency = thing.facts.get("currency")
    facts = [("order", called), *(_fact(key, value, currency) for key, value in thing.facts.items())]
    parts = [tuple(_fact(column, part[column], currency)[1] for column in columns) for part in thing.parts]
    tables = (
        [display.grid("Of it", parts, *(c.removesuffix("_minor").replace("_", " ") for c in columns))] if parts else []
    )
    console = display.console_on(sys.stdout)
    console.print(
        display.facts(facts), *tables, display.happened(f"{what.title()} {thing_id}", thing.history), sep="\n"
    )


def _fact(key: str, value: object, currency: str | None) -> tuple[str, str]:
    if key.endswith("_minor") and currency and isinstance(value, int):
        return key.removesuffix("_minor").replace("_", " "), display.money(value, currency)
    return key.replace("_", " "), display.fact(value)


STREAMS = {"payment": "payment", "shipment": "shipment", "return": "rma"}


def _id_of(connection: queries.Connection, codec: Codec, what: str, name: str, of_order: Ids) -> str:
    """Return the entity's id, also for an order that has exactly one. Raise NotFound if there is none, or more than
    one."""
    if names.exists(connection, f"{STREAMS[what]}-{name}"):
        return name
    found = list(names.shipments_under(connection, name)) if what == "shipment" else []
    found = found or list(of_order(connection, codec, id_of(name)))
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFound(f"{name} has {len(found)} {what}s; name one of {', '.join(found)}")
    if queries.is_accepted(connection, id_of(name)):
        raise NotFound(f"order {name} has no {what} yet; `oms-es order show {name}` says what it waits for")
    alike = names.order_like(connection, name)
    hint = f"did you mean that of {alike}?" if alike else f"`oms-es order show ORDER` names its {what}s"
    raise NotFound(f"there is no {what} {name}, nor an order of that name; {hint}")


def show_location(location: str, *, at: AtPosition = None, json: Json = False) -> None:
    """A location: what it serves, whether it is open, and its history."""
    moment = at_of(at)
    with reading(set_up()) as connection:
        position = position_then(connection, moment)
        thing = single.location(connection, Codec(EVENTS).over(connection), location, position)
        if thing is None and moment is not None and names.exists(connection, f"location-{location}"):
            raise not_known_at(f"location {location}", moment)
        if thing is None:
            raise no_location(connection, location)
        load = None if moment is not None else queries.load_of(connection, location)
    if json:
        print_json({"location": thing.facts, "load": load, "history": thing.history})
        return
    facts = [(key.replace("_", " "), display.fact(value)) for key, value in thing.facts.items()]
    facts += [("orders", f"{load['orders']} on {load['day']:%Y-%m-%d}")] if load else []
    happened = display.happened(f"Location {location}", thing.history)
    display.console_on(sys.stdout).print(display.facts(facts), happened, sep="\n")


def no_location(connection: queries.Connection, location: str) -> NotFound:
    alike = names.location_like(connection, location)
    hint = f"did you mean {alike}?" if alike else "`oms-es location list` names them"
    return NotFound(f"there is no location {location}; {hint}")


def list_locations(
    *, closed: Annotated[bool, typer.Option("--closed", help="List closed locations, too.")] = False, json: Json = False
) -> None:
    """Locations that hold stock, the preferred ones first."""
    with reading(set_up()) as connection:
        rows = queries.locations(connection, closed=closed)
    if json:
        print_json(rows)
    elif rows:
        columns = ("location", "kind", "country", "region", "priority", "open", "channels", "delivery_options")
        shown = [tuple(display.fact(row[column]) for column in columns) for row in rows]
        display.console_on(sys.stdout).print(
            display.grid("Locations", shown, *(c.replace("_", " ") for c in columns), numbers=("priority",))
        )
    else:
        say(NO_LOCATION)


def list_stock(
    *,
    location: Annotated[str | None, typer.Option(help="List stock at this location only.")] = None,
    after: Annotated[
        str | None, typer.Option(metavar="SKU@LOCATION", help="The cursor that the previous page ended with.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=STOCK_PAGE_MAX, help="Rows of a page.")] = 100,
    json: Json = False,
) -> None:
    """Stock by SKU and location, a page at a time."""
    last = _stock_cursor(after)
    with reading(set_up()) as connection:
        if location is not None and not names.exists(connection, f"location-{location}"):
            raise no_location(connection, location)
        rows = queries.stock_page(connection, location, last, limit + 1)
    more = f"{rows[limit - 1]['sku']}@{rows[limit - 1]['location']}" if len(rows) > limit else None
    if json:
        print_json({"stock": rows[:limit], "after": more})
        return
    columns = ("sku", "location", "on_hand", "reserved", "safety_stock", "atp", "inbound")
    shown = [tuple(row[column] for column in columns) for row in rows[:limit]]
    titles = tuple(column.replace("_", " ") for column in columns)
    if rows:
        display.console_on(sys.stdout).print(display.grid("Stock", shown, *titles, numbers=titles[2:]))
    else:
        say("there is no stock" if last is None else "there is no more")
    say_more(more)


def _stock_cursor(after: str | None) -> tuple[str, str] | None:
    if after is None:
        return None
    sku, at, location = after.rpartition("@")
    if not at:
        raise typer.BadParameter(f"{after!r} is no place of a SKU; write it as SKU@LOCATION, as the page before ended")
    return sku, location


def no_stock(connection: queries.Connection, sku: str) -> NotFound:
    alike = names.sku_like(connection, sku)
    hint = f"did you mean {alike}? Otherwise receive" if alike else "receive"
    return NotFound(f"there has never been any {sku}; {hint} it with `oms-es stock receive`")
