"""`oms-es invoice` and `oms-es seller`: issued documents, and the sellers in whose names they were issued."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from oms_es import rendering as display
from oms_es.app.verbs import id_of
from oms_es.cli.terminal import Json, print_json, reading, say, say_more, set_up
from oms_es.reports.finance import invoices

LIMIT = 50
NO_SELLER = "no seller is set, so no invoices are issued; `oms-es seller set` sets one"


def list_invoices(
    *,
    order: Annotated[str | None, typer.Option(help="List documents of this order.")] = None,
    seller: Annotated[str | None, typer.Option(help="List documents of this seller.")] = None,
    after: Annotated[
        int | None, typer.Option(help="Continue where the page before ended: the value that it ended with.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=invoices.PAGE_MAX, help="Rows of a page.")] = LIMIT,
    json: Json = False,
) -> None:
    """List invoices and credit notes of our own, the newest first, with the address of each document."""
    with reading(set_up()) as connection:
        page = invoices.page(connection, seller, order and id_of(order), after, limit)
        is_set_up = bool(invoices.sellers(connection))
    if json:
        print_json({"invoices": page.rows, "after": page.after})
        return
    if page.rows:
        rows = [
            (
                *(row[name] for name in ("name", "kind", "issued_on")),
                display.money(row["total_minor"], row["currency"]),
                display.money(row["tax_minor"], row["currency"]),
                row["currency"],
                row["about"],
                row["corrects"],
                row["sha256"] or "",
            )
            for row in page.rows
        ]
        titles = ("number", "kind", "issued on", "total", "tax in it", "currency", "of", "cancels", "document")
        display.console_on(sys.stdout).print(display.grid("Invoices", rows, *titles, numbers=titles[3:5]))
    else:
        say("there are no such invoices" if is_set_up else NO_SELLER)
    say_more(page.after)


def list_sellers(*, json: Json = False) -> None:
    """List the sellers and their channels."""
    with reading(set_up()) as connection:
        found = invoices.sellers(connection)
    if json:
        print_json(found)
        return
    if not found:
        say(NO_SELLER)
        return
    rows = [
        (
            *(row[name] for name in ("seller", "name", "country")),
            row["vat_id"] or row["tax_number"],
            ", ".join(row["channels"]) or "all others",
            row["prefix"],
            row["included_tax"],
        )
        for row in found
    ]
    titles = ("seller", "name", "country", "tax id", "channels", "prefix", "tax within prices, %")
    display.console_on(sys.stdout).print(display.grid("Sellers", rows, *titles))
