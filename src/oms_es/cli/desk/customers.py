"""`oms-es customers`: the list, and one customer with what was spent and the newest orders."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from oms_es import rendering as display
from oms_es.cli.desk.orders import After, cursor, customer_named, table
from oms_es.cli.terminal import Json, print_json, reading, say, say_more, set_up
from oms_es.errors import NotFound
from oms_es.reports import customers, order_list
from oms_es.reports.queries import Row

LIMIT = 50
Limit = Annotated[int, typer.Option(min=1, max=customers.PAGE_MAX, help="Rows of a page.")]


def listed(
    *,
    channel: Annotated[str | None, typer.Option(help="List customers of this channel.")] = None,
    email: Annotated[str | None, typer.Option(help="List customers with this e-mail address.")] = None,
    after: After = None,
    limit: Limit = LIMIT,
    json: Json = False,
) -> None:
    """Customers that orders name by an id, the one with the latest order first, a page at a time."""
    with reading(set_up()) as connection:
        page = customers.page(connection, customers.Asked(channel, email, cursor(after)), limit)
    if json:
        print_json({"customers": page.rows, "after": page.after and str(page.after)})
        return
    if page.rows:
        columns = ("orders", "units", "cancelled_orders", "returns", "ratings", "email", "language")
        shown = [
            (f"{row['channel']}/{row['customer_id']}", display.moment(row["last_placed_at"]), *_of(row, columns))
            for row in page.rows
        ]
        titles = [column.replace("_", " ") for column in columns]
        grid = display.grid("Customers", shown, "customer", "last order (UTC)", *titles, numbers=titles[:5])
        display.console_on(sys.stdout).print(grid)
    else:
        say("no customer is like that" if after is None else "there are no more")
    say_more(page.after)


def _of(row: Row, columns: Sequence[str]) -> list[object]:
    return [row[column] for column in columns]


def show(
    customer: Annotated[
        str, typer.Argument(metavar="CHANNEL/ID", help="The channel, and the channel's id of the customer.")
    ],
    *,
    limit: Limit = LIMIT,
    json: Json = False,
) -> None:
    """A customer's orders, spending, returns and ratings, with the newest orders."""
    named = customer_named(customer)
    with reading(set_up()) as connection:
        row = customers.one(connection, named)
        if row is None:
            raise NotFound(f"no order names a customer {customer}; list some with `oms-es customers list`")
        spent = customers.spending(connection, named)
        orders = order_list.page(connection, order_list.Asked(customer=named), limit).orders
    if json:
        print_json({"customer": row, "spending": spent, "newest_orders": orders})
        return
    facts = [(name.replace("_", " "), display.fact(value)) for name, value in row.items() if name != "email_key"]
    columns = ("orders", "ordered_minor", "cancelled_minor", "refunded_minor", "exchanged_minor", "spent_minor")
    amounts = [
        (one["currency"], one["orders"], *(display.money(one[name], one["currency"]) for name in columns[1:]))
        for one in spent
    ]
    titles = [column.removesuffix("_minor") for column in columns]
    spending = display.grid("Spending", amounts, "currency", *titles, numbers=titles)
    display.console_on(sys.stdout).print(display.facts(facts), spending, table("Newest orders", orders), sep="\n")


app = typer.Typer(help="Customers that channels name, with their orders.", no_args_is_help=True)
app.command("list")(listed)
app.command("show")(show)
