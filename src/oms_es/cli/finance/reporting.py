"""`oms-es reconcile report`: how much of an account is reconciled, and the age of its breaks."""

from __future__ import annotations

import sys
from typing import Any

import typer

from oms_es import rendering as display
from oms_es.cli.finance.reconciling import Account
from oms_es.cli.terminal import Json, print_json, reading, set_up
from oms_es.errors import NotFound
from oms_es.reports.finance import accounts

AGES = (*(name for name, _ in accounts.AGES), "older")


def report(account: Account, *, json: Json = False) -> None:
    """The state of an account's reconciliation: balances, lines, matches, and breaks by kind and age."""
    with reading(set_up()) as connection:
        found = accounts.report(connection, account)
    if found is None:
        raise NotFound(f"no statement of {account} was imported; see `oms-es reconcile statements`")
    if json:
        print_json(found)
        return
    closed = f"closed through {found['closed_through']}" if found["closed_through"] else "no period is closed"
    typer.echo(f"{account} from {found['first']} to {found['last']}: {closed}")
    matches = found["matches"]
    typer.echo(
        f"{matches['matches']} matches of {matches['lines']} lines and {matches['movements']} movements, "
        f"{matches['by_hand']} of them by hand"
    )
    _print("Balances", found["balances"], ("statements", "lines", "open_breaks"), ("opening", "booked", "closing"))
    _print("Lines", found["lines"], ("kind", "lines", "pending"), ("amount", "fee"))
    if found["breaks"]:
        _print("Breaks", found["breaks"], ("status", "kind", "breaks", "oldest", *AGES), ("amount",))


def _print(title: str, rows: list[dict[str, Any]], names: tuple[str, ...], amounts: tuple[str, ...]) -> None:
    shown = [
        (
            row["currency"],
            *(row[name] for name in names),
            *(_money(row[f"{name}_minor"], row["currency"]) for name in amounts),
        )
        for row in rows
    ]
    titles = ("currency", *(name.replace("_", " ") for name in names), *amounts)
    display.console_on(sys.stdout).print(display.grid(title, shown, *titles, numbers=amounts))


def _money(amount_minor: int | None, currency: str) -> str:
    return "" if amount_minor is None else display.money(amount_minor, currency)
