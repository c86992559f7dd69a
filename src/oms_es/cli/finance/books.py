"""`oms-es books`: double-entry books, folded from the events."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from oms_es import rendering as display
from oms_es.books import chart
from oms_es.books.entry import Entry
from oms_es.cli.finance.reconciling import day_of
from oms_es.cli.terminal import Json, one_of, print_json, reading, say, say_more, set_up
from oms_es.errors import NotFound
from oms_es.reports.finance import books
from oms_es.reports.finance.books import Asked
from oms_es.reports.finance.journal_files import FORMATS, written
from oms_es.reports.queries import Connection
from oms_es.reports.streams import end_of_log
from oms_es.written_files import write_file

LIMIT = 50
Since = Annotated[str | None, typer.Option("--from", metavar="DAY", help="The first day, such as 2026-01-01 (UTC).")]
Until = Annotated[str | None, typer.Option("--to", metavar="DAY", help="The last day.")]
Of = Annotated[str | None, typer.Option("--currency", help="Only this currency, such as EUR.")]
After = Annotated[str | None, typer.Option(metavar="ENTRY", help="The entry that the previous page ended with.")]
Limit = Annotated[int, typer.Option(min=1, max=books.ENTRIES_MAX, help="Entries of a page.")]

app = typer.Typer(help="Double-entry books, folded from the events.", no_args_is_help=True)


def _asked(connection: Connection, since: str | None, until: str | None, currency: str | None) -> Asked:
    first, last = since and day_of(since), until and day_of(until)
    if first and last and last < first:
        raise typer.BadParameter(f"{last} is before {first}; give --from the earlier day")
    return Asked(first, last, currency and currency.upper(), end_of_log(connection))


def _place_of(after: str | None) -> tuple[int, int]:
    position, _, number = (after or "0/0").partition("/")
    if not (position.isascii() and position.isdigit() and number.isascii() and number.isdigit()):
        raise typer.BadParameter(f"{after!r} is no entry; write it as 12/1, as a page before ended with")
    return int(position), int(number)


@app.command("chart")
def show_chart(*, json: Json = False) -> None:
    """The chart of accounts: what each account holds."""
    if json:
        print_json([{"account": account, "meaning": meaning} for account, meaning in chart.MEANING.items()])
        return
    display.console_on(sys.stdout).print(display.grid("Accounts", list(chart.MEANING.items()), "account", "holds"))


@app.command("trial-balance")
def show_trial_balance(*, since: Since = None, until: Until = None, currency: Of = None, json: Json = False) -> None:
    """The balance of every account. Those of a currency sum to zero; a credit is negative."""
    with reading(set_up()) as connection:
        found = books.trial_balance(connection, _asked(connection, since, until, currency))
    totals = books.totals(found)
    if json:
        rows = [{**one._asdict(), "closing_minor": one.closing_minor} for one in found]
        print_json({"accounts": rows, "totals_minor": totals})
        return
    if not found:
        say("nothing was booked in this period")
        return
    amounts = ("opening_minor", "debit_minor", "credit_minor", "closing_minor")
    shown = [(one.account, *(display.money(getattr(one, name), one.currency) for name in amounts)) for one in found]
    shown += [(f"sum of {of}", "", "", "", display.money(total, of)) for of, total in totals.items()]
    titles = ("account", "opening", "debit", "credit", "closing")
    display.console_on(sys.stdout).print(display.grid("Trial balance", shown, *titles, numbers=titles[1:]))


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "entry": entry.name,
        "day": entry.day,
        "event": entry.event,
        "order_id": entry.order_id,
        "subject": entry.subject,
        "postings": [one._asdict() for one in entry.postings],
    }


@app.command("journal")
def show_journal(
    *,
    since: Since = None,
    until: Until = None,
    currency: Of = None,
    after: After = None,
    limit: Limit = LIMIT,
    json: Json = False,
) -> None:
    """Entries in the order in which they were recorded, a page at a time; an entry is called `position/number`."""
    place = _place_of(after)
    with reading(set_up()) as connection:
        page = books.journal(connection, _asked(connection, since, until, currency), place, limit)
    if json:
        print_json({"entries": [_entry(one) for one in page.entries], "after": page.after})
        return
    shown = [
        (entry.name, entry.day, entry.event, entry.order_id, one.account, display.money(one.amount_minor, one.currency))
        for entry in page.entries
        for one in entry.postings
    ]
    _print_page("Journal", shown, ("entry", "day", "event", "order", "account", "amount"), page.after)


@app.command("account")
def show_account(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ACCOUNT", help="The account, such as assets:receivable; its sub-accounts are included."
        ),
    ],
    *,
    since: Since = None,
    until: Until = None,
    currency: Of = None,
    after: After = None,
    limit: Limit = LIMIT,
    json: Json = False,
) -> None:
    """The postings of an account, with the balance after each."""
    place = _place_of(after)
    with reading(set_up()) as connection:
        found = books.account(connection, _asked(connection, since, until, currency), name, place, limit)
    if not found.is_known and name not in chart.MEANING:
        raise NotFound(f"nothing was posted to an account {name!r}; see those that there are with `oms-es books chart`")
    if json:
        lines = [
            {**_entry(one.entry), "postings": [one.posting._asdict()], "balance_minor": one.balance_minor}
            for one in found.lines
        ]
        sums = {"opening_minor": found.opening, "closing_minor": found.closing}
        print_json({"account": name, "lines": lines, "after": found.after, **sums})
        return
    shown = [
        (
            *(one.entry.name, one.entry.day, one.entry.event, one.entry.order_id, one.posting.account),
            display.money(one.posting.amount_minor, one.posting.currency),
            display.money(one.balance_minor, one.posting.currency),
        )
        for one in found.lines
    ]
    _print_page(name, shown, ("entry", "day", "event", "order", "account", "amount", "balance"), found.after)
    for of, closing in found.closing.items():
        say(f"{of}: opening {display.money(found.opening[of], of)}, closing {display.money(closing, of)}")


def _print_page(title: str, rows: list[tuple[Any, ...]], titles: tuple[str, ...], after: str | None) -> None:
    if rows:
        numbers = [one for one in titles if one in ("amount", "balance")]
        display.console_on(sys.stdout).print(display.grid(title, rows, *titles, numbers=numbers))
    else:
        say("nothing was booked in this period")
    say_more(after)


@app.command("export")
def export_journal(
    *,
    written_as: Annotated[
        str, typer.Option("--format", metavar=f"[{'|'.join(FORMATS)}]", help="The program that reads the file.")
    ],
    file: Annotated[Path | None, typer.Option(help="The file to write; without it, the journal is printed.")] = None,
    since: Since = None,
    until: Until = None,
    currency: Of = None,
) -> None:
    """The whole journal as a file for another program. A period begins with the opening balances."""
    one_of(FORMATS, written_as, "format")
    with reading(set_up()) as connection:
        lines = written(connection, _asked(connection, since, until, currency), written_as)
        if file is None:
            sys.stdout.writelines(lines)
            return
        write_file(file, (line.encode() for line in lines))
    say(f"the journal is in {file}")
