"""`oms-es sql`: a query of your own on the read models or on an export."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from typing import Annotated, Literal

import typer
from psycopg import OperationalError
from pydantic_core import to_json

from oms_es import rendering as display
from oms_es.app import PROJECTIONS
from oms_es.cli.terminal import say, set_up
from oms_es.database.selection import NoDatabase, checked, database
from oms_es.http.reading.tables import OF_PEOPLE
from oms_es.reports import queries
from oms_es.reports.querying import database as of_database
from oms_es.reports.querying import exported, found
from oms_es.reports.querying.found import BadStatement, Bounds, Found
from oms_es.store import schema
from oms_es.written_files import write_file

ROWS, SECONDS = 1_000, 30
SETTING = "OMS_SQL_DATABASE_URL"
OF_PAYERS = ("statements", "statement_lines")
"""Tables with account numbers and texts of payers; over HTTP they need the scope `finance:read`."""
Format = Literal["table", "csv", "json", "parquet"]


def sql(
    statement: Annotated[str, typer.Argument(metavar="QUERY", help='Such as "SELECT …"; - reads it from stdin.')],
    *,
    export: Annotated[
        Path | None, typer.Option("--export", metavar="DIR", help="Query the files of this export, with DuckDB.")
    ] = None,
    personal: Annotated[
        bool, typer.Option("--personal", help="Allow tables with personal data: customers, recipients, events.")
    ] = False,
    rows: Annotated[int, typer.Option(min=1, max=found.ROWS_MAX, help="Rows of the answer at most.")] = ROWS,
    seconds: Annotated[
        int, typer.Option(min=1, max=found.SECONDS_MAX, help="Seconds for the query at most.")
    ] = SECONDS,
    format: Annotated[Format, typer.Option(help="The format of the output.")] = "table",  # noqa: A002 - as the option is called
    output: Annotated[Path | None, typer.Option(help="Write the answer to this file; Parquet needs one.")] = None,
) -> None:
    """Query the read models, or an export, in SQL: one read-only query. Amounts are minor units, moments are in UTC.
    The data dictionary in the reference has every table and column."""
    if format == "parquet" and output is None:
        raise typer.BadParameter("Parquet is no text; name a file with --output")
    asked = _from_stdin() if statement == "-" else statement
    bounds = Bounds(rows, seconds)
    if export is not None:
        answer = exported.ask(export, asked, bounds, personal=personal)
    else:
        answer = _of_database(asked, bounds, personal=personal)
    _give(answer, format, output)
    if answer.more:
        say(f"there are more than {rows:,} rows; ask for fewer, or give --rows")


def _from_stdin() -> str:
    """Return the statement on stdin. Raise BadStatement."""
    try:
        return sys.stdin.read(found.STATEMENT_CHARACTERS_MAX + 1)
    except UnicodeDecodeError:
        raise BadStatement(found.NO_TEXT) from None


def _of_database(statement: str, bounds: Bounds, *, personal: bool) -> Found:
    settings = set_up()
    if settings.sql_database_url:
        if personal:
            raise typer.BadParameter(
                "the login of OMS_SQL_DATABASE_URL reads what it may read; leave --personal out, or grant it more"
            )
        try:
            return of_database.ask_as(checked(settings.sql_database_url, SETTING), statement, bounds)
        except OperationalError as error:
            raise NoDatabase(f"the database does not answer: {error}; correct {SETTING}") from None
    withheld = () if personal else (*OF_PEOPLE, *OF_PAYERS)
    tables = [one.name for one in PROJECTIONS if one.name not in withheld]
    with database(settings, "reader") as place:
        with queries.reading(place.url) as connection:
            schema.require(connection, PROJECTIONS)
        return of_database.ask(
            place.url, statement, tables, bounds, withheld=withheld, is_ours=not settings.database_url
        )


def _give(answer: Found, format: Format, output: Path | None) -> None:  # noqa: A002 - as the option is called
    if output is not None:
        write_file(output, [_parquet(answer) if format == "parquet" else _text(answer, format).encode()])
        say(f"{len(answer.rows):,} rows written to {output}")
    elif format == "table":
        _print(answer)
    else:
        typer.echo(_text(answer, format), nl=False)


def _parquet(answer: Found) -> bytes:
    written = BytesIO()
    found.write_parquet(answer, written)
    return written.getvalue()


def _text(answer: Found, format: Format) -> str:  # noqa: A002 - as the option is called
    if format == "json":
        return f"{to_json(found.as_json(answer)).decode()}\n"
    return found.as_csv(answer)


def _print(answer: Found) -> None:
    if not answer.rows:
        say("nothing was found")
        return
    titles = [name.replace("_", " ") for name in answer.columns]
    numbers = [
        title
        for place, title in enumerate(titles)
        if all(row[place] is None or isinstance(row[place], int | float) for row in answer.rows)
    ]
    cells = [tuple(map(found.shown, row)) for row in answer.rows]
    display.console_on(sys.stdout).print(display.grid("", cells, *titles, numbers=numbers))
