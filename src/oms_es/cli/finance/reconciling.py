"""`oms-es reconcile`: statements of banks and payment providers, compared with the money that moved here."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from oms_es import rendering as display
from oms_es.app.finance import reconciling
from oms_es.app.finance.reconciling import File, import_statements
from oms_es.cli.desk.orders import After
from oms_es.cli.terminal import Json, one_of, print_json, reading, say, say_more, set_up, who, writing
from oms_es.errors import NotFound
from oms_es.matching.sides import Rules
from oms_es.processing.intake.input_files import opened_input
from oms_es.processing.intake.jsonl import BadFile
from oms_es.reports.finance import reconciliation, statements
from oms_es.reports.queries import Row
from oms_es.statements import FORMATS
from oms_es.statements.reading import BYTES_MAX, ENCODINGS, Options

LIMIT = 50
Limit = Annotated[int, typer.Option(min=1, max=statements.PAGE_MAX, help="Rows of a page.")]
Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Our name of the account.")]


def import_statement(
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="The file as it was sent; gzip is unpacked; - is stdin.")
    ],
    *,
    written_as: Annotated[
        str, typer.Option("--format", metavar=f"[{'|'.join(FORMATS)}]", help="The format of the file.")
    ],
    account: Annotated[str | None, typer.Option(help="Our name of the account; without it, its number.")] = None,
    statement_id: Annotated[
        str | None, typer.Option(help="The statement's id; without it, the one in the file.")
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="For CSV, a TOML file that maps the columns.")] = None,
    encoding: Annotated[
        str | None, typer.Option(help=f"{', '.join(ENCODINGS)}; only needed if the format's usual encoding is wrong.")
    ] = None,
    sha1: Annotated[str | None, typer.Option(help="The file's SHA-1, as the provider states it.")] = None,
    json: Json = False,
) -> None:
    """Import a statement. The file is stored unchanged; imported again, it changes nothing."""
    one_of(FORMATS, written_as, "format")
    options = Options(encoding, _text_of(mapping) if mapping else None)
    content = _content_of(file)
    with writing(set_up(), run=False) as engine:
        taken = import_statements(engine, who(), File(content, written_as, account, statement_id, sha1, options))
        engine.settle()
    if json:
        print_json([one._asdict() for one in taken])
        return
    for one in taken:
        period = f"{one.opened_on} to {one.closed_on}"
        typer.echo(f"{one.outcome} {one.account}/{one.statement_id}: {one.lines} lines in {one.currency}, {period}")


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}; name a file with the mapping in TOML") from error
    except UnicodeDecodeError as error:
        raise BadFile(f"{path} is not text in UTF-8; name a file with the mapping in TOML") from error


def _content_of(file: str) -> bytes:
    """Return the content; of a file that is too large, one byte more than the limit."""
    with opened_input(file) as source:
        return source.stream.read(BYTES_MAX + 1)


def list_statements(
    *,
    account: Annotated[str | None, typer.Option(help="List statements of this account.")] = None,
    after: After = None,
    limit: Limit = LIMIT,
    json: Json = False,
) -> None:
    """Statements that were imported, the newest first, a page at a time."""
    with reading(set_up()) as connection:
        page = statements.page(connection, account, after, limit)
    if json:
        print_json({"statements": page.rows, "after": page.after})
        return
    if page.rows:
        rows = [
            (
                *(row["account"], row["statement_id"], row["format"], row["opened_on"], row["closed_on"]),
                *(_money(row, name) for name in ("opening_minor", "booked_minor", "closing_minor")),
                row["line_count"],
            )
            for row in page.rows
        ]
        titles = ("account", "statement", "format", "from", "to", "opening", "booked", "closing", "lines")
        display.console_on(sys.stdout).print(display.grid("Statements", rows, *titles, numbers=titles[5:]))
    else:
        say("there are no such statements; import one with `oms-es reconcile import`")
    say_more(page.after)


def _money(row: Row, name: str) -> str:
    return "" if row[name] is None else display.money(row[name], row["currency"])


def show_lines(
    account: Account,
    statement_id: Annotated[str, typer.Argument(metavar="STATEMENT", help="The statement's id.")],
    *,
    first: Annotated[int, typer.Option("--from", min=1, help="The first line to show.")] = 1,
    limit: Limit = LIMIT,
    json: Json = False,
) -> None:
    """The lines of a statement, in their order."""
    with reading(set_up()) as connection:
        found = statements.lines(connection, account, statement_id, first, limit)
    if not found:
        raise NotFound(f"no statement {account}/{statement_id} has a line {first}; see `oms-es reconcile statements`")
    if json:
        print_json(found)
        return
    rows = [
        (
            *(row["line"], row["booked_on"], row["kind"], _money(row, "amount_minor"), _money(row, "fee_minor")),
            "pending" if row["pending"] else "",
            ", ".join(row["references"]),
            row["text"],
        )
        for row in found
    ]
    titles = ("line", "booked", "kind", "amount", "fee", "state", "references", "text")
    display.console_on(sys.stdout).print(display.grid(f"{account}/{statement_id}", rows, *titles, numbers=titles[3:5]))


def run(
    account: Account,
    *,
    until: Annotated[
        str | None, typer.Option(metavar="DAY", help="Match only lines that were booked by this day.")
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="Match only payments by this method, such as card; may be repeated.")
    ] = None,
    payouts_of: Annotated[
        list[str] | None, typer.Option(help="A provider's account whose payouts arrive at this bank; may be repeated.")
    ] = None,
    window_days: Annotated[int, typer.Option(min=0, max=60, help="Days that the two sides may be apart.")] = 5,
    fee_basis_points: Annotated[
        int | None, typer.Option(min=0, max=10_000, help="The agreed fee in basis points, such as 140 for 1.4 %.")
    ] = None,
    fee_fixed_minor: Annotated[int, typer.Option(min=0, help="The agreed fixed fee for each payment.")] = 0,
    json: Json = False,
) -> None:
    """Match the lines of an account's statements with the money that moved here. Run again, it adds what is new."""
    rules = Rules(window_days, fee_basis_points, fee_fixed_minor)
    asked = reconciling.Asked(account, until and day_of(until), tuple(method or ()), tuple(payouts_of or ()), rules)
    with writing(set_up(), run=False) as engine:
        engine.settle()
        ran = reconciling.run(engine, who(), asked)
        engine.settle()
    if json:
        print_json(ran._asdict())
        return
    typer.echo(
        f"{account} through {ran.through}: {ran.lines} lines, {ran.movements} movements here, "
        f"{ran.matched} new matches, {ran.breaks} breaks"
    )


def day_of(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day; write it as 2026-01-31") from None


def list_breaks(
    account: Account,
    *,
    resolved: Annotated[bool, typer.Option("--resolved", help="List resolved breaks instead.")] = False,
    after: After = None,
    limit: Limit = LIMIT,
    json: Json = False,
) -> None:
    """Breaks of an account, the oldest first, with their age in days."""
    with reading(set_up()) as connection:
        status = "resolved" if resolved else "open"
        found = reconciliation.breaks(connection, account, status, after, limit + 1)
    rows, more = found[:limit], len(found) > limit
    end = f"{rows[-1]['day']}/{rows[-1]['break_id']}" if more else None
    if json:
        print_json({"breaks": rows, "after": end})
        return
    if rows:
        shown = [
            (
                *(row["break_id"], row["kind"], row["day"], row["age_days"]),
                *(display.money(row["amount_minor"], row["currency"]), row["currency"], row["detail"]),
                row["resolution"],
            )
            for row in rows
        ]
        titles = ("break", "kind", "day", "age", "amount", "currency", "says", "resolution")
        display.console_on(sys.stdout).print(display.grid(f"Breaks of {account}", shown, *titles, numbers=titles[3:5]))
    else:
        say(f"{account} has no such breaks")
    say_more(end)


def explain(
    account: Account,
    line: Annotated[str, typer.Argument(metavar="STATEMENT/LINE", help="The line, as matches and breaks name it.")],
    *,
    json: Json = False,
) -> None:
    """Why a line of a statement is matched, or is not matched."""
    with reading(set_up()) as connection:
        matches, breaks = reconciliation.of_line(connection, account, line)
    if not matches and not breaks:
        raise NotFound(f"{account} has no match and no break with {line}; run `oms-es reconcile run {account}`")
    if json:
        print_json({"matches": matches, "breaks": breaks})
        return
    for row in matches:
        others = ", ".join(row["movements"]) or "nothing here, as it should be"
        typer.echo(f"{row['status']} {row['match_id']}, confidence {row['confidence']}: {row['reason']}; with {others}")
    for row in breaks:
        typer.echo(f"{row['status']} break {row['break_id']}: {row['detail']}")
