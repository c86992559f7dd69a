"""`oms-es payments`, `shipments` and `returns`: lists."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from oms_es import rendering as display
from oms_es.app.verbs import id_of
from oms_es.cli.desk.orders import After, cursor, known_or_bad, moment
from oms_es.cli.terminal import Json, print_json, reading, say, say_more, set_up
from oms_es.projections.payment import payments
from oms_es.projections.returns import returns
from oms_es.projections.shipment import shipments
from oms_es.reports import lists
from oms_es.reports.queries import Row

LIMIT = 50
Order = Annotated[str | None, typer.Option(help="List those of this order.")]
Since = Annotated[
    str | None, typer.Option(metavar="MOMENT", help="List those requested then or later, such as 2026-01-05.")
]
Until = Annotated[str | None, typer.Option(metavar="MOMENT", help="List those requested before then.")]
Limit = Annotated[int, typer.Option(min=1, max=lists.PAGE_MAX, help="Rows of a page.")]


def list_payments(
    *,
    state: Annotated[
        str | None, typer.Option(help=f"List payments in this state: {', '.join(payments.STATES)}.")
    ] = None,
    order: Order = None,
    since: Since = None,
    until: Until = None,
    after: After = None,
    limit: Limit = LIMIT,
    json: Json = False,
) -> None:
    """Payments, the newest first, a page at a time."""
    if state is not None:
        known_or_bad(state, payments.STATES, "state of payments")
    asked = lists.Asked(state, order and id_of(order), moment(since), moment(until), cursor(after))
    columns = ("state", "requested_minor", "captured_minor", "refunded_minor", "currency", "method", "reason")
    _list("payments", lists.PAYMENTS, asked, columns, limit, json=json)


def list_shipments(
    *,
    status: Annotated[
        str | None, typer.Option(help=f"List parcels with this status: {', '.join(shipments.STATUSES)}.")
    ] = None,
    order: Order = None,
    since: Since = None,
    until: Until = None,
    after: After = None,
    limit: Limit = LIMIT,
    json: Json = False,
) -> None:
    """Parcels, the newest first, a page at a time."""
    if status is not None:
        known_or_bad(status, shipments.STATUSES, "status of parcels")
    asked = lists.Asked(status, order and id_of(order), moment(since), moment(until), cursor(after))
    columns = ("status", "location", "units", "carrier", "tracking_number")
    _list("shipments", lists.SHIPMENTS, asked, columns, limit, json=json)


def list_returns(
    *,
    status: Annotated[
        str | None, typer.Option(help=f"List returns with this status: {', '.join(returns.STATUSES)}.")
    ] = None,
    order: Order = None,
    since: Since = None,
    until: Until = None,
    after: After = None,
    limit: Limit = LIMIT,
    json: Json = False,
) -> None:
    """Returns, the newest first, a page at a time."""
    if status is not None:
        known_or_bad(status, returns.STATUSES, "status of returns")
    asked = lists.Asked(status, order and id_of(order), moment(since), moment(until), cursor(after))
    columns = ("status", "resolution", "units", "received", "inspected", "credited", "reasons")
    _list("returns", lists.RETURNS, asked, columns, limit, json=json)


def _list(
    what: str, listing: lists.Listing, asked: lists.Asked, columns: Sequence[str], limit: int, *, json: bool
) -> None:
    with reading(set_up()) as connection:
        page = lists.page(connection, listing, asked, limit)
    if json:
        print_json({what: page.rows, "after": page.after and str(page.after)})
        return
    if page.rows:
        titles = [column.removesuffix("_minor").replace("_", " ") for column in columns]
        numbers = [t for t, column in zip(titles, columns, strict=True) if isinstance(page.rows[0][column], int)]
        shown = [_shown(row, listing, columns) for row in page.rows]
        grid = display.grid(what.title(), shown, "id", "order", "requested (UTC)", *titles, numbers=numbers)
        display.console_on(sys.stdout).print(grid)
    else:
        say(f"there are no such {what}" if asked.after is None else "there are no more")
    say_more(page.after)


def _shown(row: Row, listing: lists.Listing, columns: Sequence[str]) -> Sequence[object]:
    order = f"{row['channel']}/{row['external_id']}" if row["channel"] else row["order_id"]
    facts = [
        display.money(row[column], row["currency"]) if column.endswith("_minor") else row[column] for column in columns
    ]
    return (row[listing.id], order, display.moment(row["requested_at"]), *facts)
