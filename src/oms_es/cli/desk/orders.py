"""`oms-es orders`: lists and searches of orders."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, get_args

import typer

from oms_es import rendering as display
from oms_es.cli.importing import import_orders
from oms_es.cli.terminal import Json, moment_of, nearest, print_json, reading, say, say_more, set_up
from oms_es.errors import NotFound
from oms_es.reports import order_list
from oms_es.reports.queries import Row
from oms_es.schemas.order import HoldKind
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec

LIMIT = 50
Phase = Annotated[
    list[str] | None,
    typer.Option("--phase", help=f"List orders in this phase; may be repeated. {', '.join(order_list.PHASES)}."),
]
Since = Annotated[
    str | None, typer.Option(metavar="MOMENT", help="List orders placed then or later, such as 2026-01-05.")
]
Until = Annotated[str | None, typer.Option(metavar="MOMENT", help="List orders placed before then.")]
Sku = Annotated[str | None, typer.Option(help="List orders that have, or had, a line with this SKU.")]
Hold = Annotated[
    str | None, typer.Option(help=f"List orders with a hold of this kind: {', '.join(get_args(HoldKind))}.")
]
After = Annotated[str | None, typer.Option(metavar="CURSOR", help="The cursor that the previous page ended with.")]
Limit = Annotated[int, typer.Option(min=1, max=order_list.PAGE_MAX, help="Rows of a page.")]


def listed(
    *,
    phase: Phase = None,
    channel: Annotated[str | None, typer.Option(help="List orders of this channel.")] = None,
    sku: Sku = None,
    hold: Hold = None,
    name: Annotated[str | None, typer.Option(help="List orders for a recipient of this name.")] = None,
    postal_code: Annotated[str | None, typer.Option(help="List orders for this postal code.")] = None,
    country: Annotated[str | None, typer.Option(help="List orders for this country, such as DE.")] = None,
    customer: Annotated[str | None, typer.Option(metavar="CHANNEL/ID", help="List orders of this customer.")] = None,
    email: Annotated[str | None, typer.Option(help="List orders with this e-mail address.")] = None,
    since: Since = None,
    until: Until = None,
    after: After = None,
    limit: Limit = LIMIT,
    json: Json = False,
) -> None:
    """Orders, the newest first, a page at a time."""
    for one in phase or ():
        known_or_bad(one, order_list.PHASES, "phase")
    if hold is not None:
        known_or_bad(hold, get_args(HoldKind), "kind of hold")
    asked = order_list.Asked(
        phase or (),
        channel,
        sku,
        hold,
        name,
        postal_code,
        country,
        customer_named(customer) if customer else None,
        email,
        moment(since),
        moment(until),
        cursor(after),
    )
    with reading(set_up()) as connection:
        page = order_list.page(connection, asked, limit)
    if json:
        print_json({"orders": page.orders, "after": page.after and str(page.after)})
        return
    if page.orders:
        display.console_on(sys.stdout).print(table("Orders", page.orders))
    else:
        say("no order is like that" if after is None else "there are no more")
    say_more(page.after)


def found(
    text: Annotated[
        str,
        typer.Argument(
            help="An order number, CHANNEL/EXTERNAL_ID, the channel's id, the id of an order, a payment, a shipment or "
            "a return, a tracking number, a payment's reference, a SKU, or the recipient's name."
        ),
    ],
    *,
    json: Json = False,
) -> None:
    """Orders that a text may name: by their own name, a person, a parcel, or any other name of theirs."""
    with reading(set_up()) as connection:
        rows = order_list.found(connection, Codec(EVENTS).over(connection), text.strip())
    if not rows:
        raise NotFound(f"no order is found by {text!r}; list some with `oms-es orders list`")
    if json:
        print_json(rows)
        return
    display.console_on(sys.stdout).print(table(f"Orders found by {text}", rows))


def table(title: str, rows: Sequence[Row]) -> object:
    found_by = any("found_by" in row for row in rows)
    columns = ("order", "number", "phase", "placed (UTC)", "total", "", "units", "to", "id")
    shown = [
        (
            f"{row['channel']}/{row['external_id']}",
            row["order_number"] or "",
            row["phase"] + (f" ({', '.join(row['holds'])})" if row["holds"] else ""),
            display.moment(row["placed_at"]),
            display.money(row["total_minor"], row["currency"]),
            row["currency"],
            row["units"],
            ", ".join(filter(None, (row["ship_to_name"], row["ship_to_country"]))),
            row["order_id"],
            *([", ".join(row["found_by"])] if found_by else []),
        )
        for row in rows
    ]
    more = ("found by its",) if found_by else ()
    return display.grid(title, shown, *columns, *more, numbers=("total", "units"))


def known_or_bad(value: str, known: Sequence[str], what: str) -> None:
    if value not in known:
        raise typer.BadParameter(f"there is no {what} {value!r}{nearest(value, known)}; there are {', '.join(known)}")


def customer_named(text: str) -> order_list.Customer:
    try:
        return order_list.Customer.read(text, "/")
    except ValueError:
        raise typer.BadParameter(f"{text!r} names no customer; write it as CHANNEL/ID") from None


def moment(text: str | None) -> datetime | None:
    return moment_of(text) if text else None


def cursor(text: str | None) -> order_list.Cursor | None:
    if text is None:
        return None
    try:
        return order_list.Cursor.read(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no cursor; copy the one that the page before ended with") from None


app = typer.Typer(help="Orders: import, list and find them.", no_args_is_help=True)
app.command("import")(import_orders)
app.command("list")(listed)
app.command("find")(found)
