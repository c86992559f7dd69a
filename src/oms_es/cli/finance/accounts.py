"""`oms-es account`: deposits, store credit and gift cards of customers, with statements and ageing."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer

from oms_es import rendering as display
from oms_es.cli.desk.orders import After
from oms_es.cli.finance.reconciling import day_of
from oms_es.cli.terminal import Json, print_json, reading, say, say_more, set_up
from oms_es.errors import NotFound
from oms_es.reports.finance import customer_accounts as accounts
from oms_es.reports.queries import Connection, Row

LIMIT = 50
Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's id.")]
AMOUNTS = ("balance_minor", "held_minor", "available_minor")


def list_accounts(
    *,
    channel: Annotated[str | None, typer.Option(help="List accounts of this channel.")] = None,
    kind: Annotated[
        Literal["deposit", "store_credit", "gift_card"] | None, typer.Option(help="List accounts of this kind.")
    ] = None,
    low: Annotated[
        bool, typer.Option("--low", help="List accounts with less available than their top-up limit.")
    ] = False,
    after: After = None,
    limit: Annotated[int, typer.Option(min=1, max=accounts.PAGE_MAX, help="Rows of a page.")] = LIMIT,
    json: Json = False,
) -> None:
    """Accounts of customers, a page at a time."""
    with reading(set_up()) as connection:
        page = accounts.page(connection, channel, after, limit, kind=kind, low=low)
    if json:
        print_json({"accounts": page.rows, "after": page.after})
        return
    if page.rows:
        rows = [
            (
                *(row[name] for name in ("account_id", "kind", "channel", "customer_id")),
                *(display.money(row[name], row["currency"]) for name in AMOUNTS),
                row["currency"],
                _state_of(row),
            )
            for row in page.rows
        ]
        titles = ("account", "kind", "channel", "customer", "balance", "held", "available", "currency", "state")
        display.console_on(sys.stdout).print(display.grid("Accounts", rows, *titles, numbers=titles[4:7]))
    else:
        say("there are no such accounts; open one with `oms-es account open`")
    say_more(page.after)


def show_account(account: Account, *, json: Json = False) -> None:
    """An account's balance, and its open holds with their reasons."""
    with reading(set_up()) as connection:
        found = _known(connection, account)
        holds = accounts.holds(connection, account)
    if json:
        print_json({**found, "holds": holds})
        return
    currency = found["currency"]
    shown = [
        *((name, found[name]) for name in ("kind", "channel", "customer_id", "currency")),
        *((name.removesuffix("_minor"), display.money(found[name], currency)) for name in AMOUNTS),
        ("topped up below", display.money(found["top_up_below_minor"], currency)),
        ("expires (UTC)", display.moment(found["expires_at"]) if found["expires_at"] else ""),
        ("rest then", found["on_expiry"]),
        ("state", _state_of(found)),
    ]
    parts = [display.grid(account, [(name, value) for name, value in shown if value], "account", "")]
    if holds:
        rows = [
            (one["hold_id"], display.money(one["left_minor"], currency), display.moment(one["held_at"]), one["reason"])
            for one in holds
        ]
        parts.append(display.grid("Holds", rows, "hold", "left", "since (UTC)", "reason", numbers=["left"]))
    display.console_on(sys.stdout).print(*parts, sep="\n")


def _state_of(row: Row) -> str:
    return ", ".join(name for name in ("low", "blocked", "expired") if row[name])


def show_statement(
    account: Account,
    *,
    since: Annotated[str, typer.Option("--from", metavar="DAY", help="The first day, such as 2026-01-01 (UTC).")],
    until: Annotated[str | None, typer.Option("--to", metavar="DAY", help="The last day; without it, today.")] = None,
    written_as: Annotated[
        Literal["table", "csv"], typer.Option("--format", help="The format of the output.")
    ] = "table",
    json: Json = False,
) -> None:
    """Entries of an account in a period, with the balance before and after."""
    first, last = day_of(since), day_of(until) if until else _today()
    if last < first:
        raise typer.BadParameter(f"{last} is before {first}; give --from the earlier day")
    with reading(set_up()) as connection:
        found = accounts.statement(connection, _known(connection, account), first, last)
    if json:
        print_json(found._asdict())
    elif written_as == "csv":
        sys.stdout.write(accounts.as_csv(found))
    else:
        _print(found)


def _print(found: accounts.Statement) -> None:
    currency = found.account["currency"]

    def money(amount_minor: int) -> str:
        return display.money(amount_minor, currency)

    rows: list[tuple[Any, ...]] = [(found.since, "", "opening", "", money(found.opening_minor), "", "", "")]
    for row in found.entries:
        moved = accounts.SPENT.get(row["kind"], 0) * row["amount_minor"]
        rows.append(
            (
                *(row["day"], row["number"], row["kind"], money(moved) if moved else ""),
                *(money(row["balance_minor"]), money(row["held_minor"]), row["order_id"]),
                " ".join(filter(None, (row["reference"], row["reason"]))),
            )
        )
    rows.append((found.until, "", "closing", "", money(found.closing_minor), "", "", ""))
    titles = ("day", "entry", "kind", "moved", "balance", "held", "order", "what for")
    title = f"{found.account['account_id']}, {currency}"
    display.console_on(sys.stdout).print(display.grid(title, rows, *titles, numbers=["entry", *titles[3:6]]))


def show_ageing(
    account: Account,
    *,
    at: Annotated[
        str | None, typer.Option(metavar="DAY", help="The day at whose end (UTC) ages are computed; without it, today.")
    ] = None,
    json: Json = False,
) -> None:
    """An account's balance by the age of its credits; debits use up the oldest credits first."""
    day = day_of(at) if at else _today()
    with reading(set_up()) as connection:
        known = _known(connection, account)
        found = accounts.ageing(connection, account, day)
    if json:
        print_json({"account_id": account, "day": day, "ages": [one._asdict() for one in found]})
        return
    rows = [
        (
            f"{one.from_days}-{one.until_days}" if one.until_days else f"{one.from_days} or more",
            display.money(one.amount_minor, known["currency"]),
        )
        for one in found
    ]
    title = f"{account}, {known['currency']}, at the end of {day}"
    display.console_on(sys.stdout).print(display.grid(title, rows, "days", "amount", numbers=["amount"]))


def _known(connection: Connection, account: str) -> Row:
    found = accounts.find(connection, account)
    if found is None:
        raise NotFound(f"there is no account {account}; `oms-es account list` names them")
    return found


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
