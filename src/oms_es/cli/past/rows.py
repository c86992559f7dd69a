"""`oms-es rows` and `oms-es explain`: rows of any read model, now or as of a moment, and the events that made one."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from oms_es import rendering as display
from oms_es.cli.desk.then import as_of, read_model
from oms_es.cli.terminal import AtPosition, Json, at_of, nearest, print_json, reading, say, say_more, set_up
from oms_es.errors import NotFound
from oms_es.history import moments, rows_then, tracing
from oms_es.http.access import LOCAL
from oms_es.http.reading.tables import Listing, Query, listing_of, value_in
from oms_es.kernel import Key, Projection
from oms_es.reports.queries import Connection, Row, readable
from oms_es.reports.streams import At

LIMIT, LIMIT_MAX = 50, 1_000
COLUMNS_SHOWN_MAX = 8
"""Columns that are shown of several rows; of a single row all are shown."""
ReadModel = Annotated[str, typer.Argument(metavar="READ_MODEL", help="A read model, such as order_status.")]
Where = Annotated[
    list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Show rows with this value; may be repeated.")
]


def list_rows(
    name: ReadModel,
    *,
    where: Where = None,
    at: AtPosition = None,
    descending: Annotated[bool, typer.Option("--descending", help="Show the last rows first.")] = False,
    after: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="The cursor that the previous page ended with.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="Rows of a page.")] = LIMIT,
    json: Json = False,
) -> None:
    """Rows of any read model, now or as of a moment. Rows can be filtered by the columns of any index."""
    projection, moment = read_model(name), at_of(at)
    listing = listing_of(projection.table)
    fixed = _fixed(projection, where or ())
    if moment is not None and set(fixed) == set(projection.key_columns):
        rows, more = _one(projection, fixed, moment), None
    else:
        query = _query(listing, fixed, limit, after, descending=descending)
        with as_of(set_up(), (projection.name,), moment) as connection:
            found = query.rows(connection)
        rows, more = found[:limit], query.cursor(found[limit - 1]) if len(found) > limit else None
    if json:
        print_json({"rows": [readable(row) for row in rows], "after": more})
        return
    _print(projection, [readable(row) for row in rows], "there are no more" if after else "there is no such row")
    say_more(more)


def _print(projection: Projection, rows: Sequence[Row], nothing: str) -> None:
    if not rows:
        say(nothing)
    elif len(rows) == 1:
        facts = [(name.replace("_", " "), display.fact(value)) for name, value in rows[0].items()]
        display.console_on(sys.stdout).print(display.facts(facts))
    else:
        names = [column.name for column in projection.table.columns]
        columns = [*projection.key_columns, *(name for name in names if name not in projection.key_columns)]
        shown = columns[:COLUMNS_SHOWN_MAX]
        cells = [tuple(display.fact(row[name]) for name in shown) for row in rows]
        titles = [name.replace("_", " ") for name in shown]
        display.console_on(sys.stdout).print(display.grid(projection.name, cells, *titles))
        if len(columns) > len(shown):
            say(f"{len(shown)} of {len(columns)} columns are shown; all with --json")


def explain(
    name: ReadModel,
    key: Annotated[
        list[str], typer.Argument(metavar="KEY...", help="The row's key, with a value for each of its columns.")
    ],
    *,
    at: AtPosition = None,
    json: Json = False,
) -> None:
    """The events that made a row, in order, each with what it changed and its cause."""
    projection, moment = read_model(name), at_of(at)
    wanted = key_of(projection, key)
    with reading(set_up()) as connection:
        position = moments.position_of(connection, moment)
        steps = tracing.steps(connection, projection, wanted, position, limit=tracing.STEPS_MAX + 1)
        causes = tracing.causes(connection, steps)
    if len(steps) > tracing.STEPS_MAX:
        say(f"more than {tracing.STEPS_MAX:,} events made this row, these are the first; ask --at an earlier moment")
        steps = steps[: tracing.STEPS_MAX]
    if not steps:
        raise NotFound(f"no event made such a row of {projection.name}; `oms-es rows {projection.name}` lists some")
    if json:
        print_json([step.as_json(causes) for step in steps])
        return
    rows = [
        (
            step.recorded.position,
            display.moment(step.recorded.recorded_at),
            type(step.recorded.event).__name__,
            step.recorded.actor,
            " < ".join(cause.words for cause in tracing.chain_of(step.recorded, causes)),
            _changes(step.changes),
        )
        for step in steps
    ]
    title = f"{projection.name} {'/'.join(key)}"
    columns = ("position", "time (UTC)", "event", "by", "because of", "what it changed")
    display.console_on(sys.stdout).print(display.grid(title, rows, *columns, numbers=columns[:1]))


def key_of(projection: Projection, texts: Sequence[str]) -> Key:
    columns = projection.key_columns
    if len(texts) != len(columns):
        raise typer.BadParameter(f"a row of {projection.name} is named by {', '.join(columns)}")
    return tuple(
        value_in(projection.table.columns[column], column, text) for column, text in zip(columns, texts, strict=True)
    )


def _changes(changes: Mapping[str, tuple[Any, Any]]) -> str:
    return ", ".join(f"{name} {display.fact(was)} → {display.fact(now)}" for name, (was, now) in changes.items())


def _fixed(projection: Projection, where: Sequence[str]) -> dict[str, Any]:
    columns = projection.table.columns
    found = {}
    for test in where:
        name, equals, text = test.partition("=")
        if not equals or name not in columns:
            names = [column.name for column in columns]
            raise typer.BadParameter(
                f"{test!r} is no filter{nearest(name, names)}; write COLUMN=VALUE, with one of {', '.join(names)}"
            )
        found[name] = value_in(columns[name], name, text)
    return found


def _query(listing: Listing, fixed: Mapping[str, Any], limit: int, after: str | None, *, descending: bool) -> Query:
    way = listing.way(frozenset(fixed), None)
    query = Query(listing, way, fixed, None, None, None, limit, descending, LOCAL)
    return query.going_on(after) if after is not None else query


def _one(projection: Projection, fixed: Mapping[str, Any], at: At) -> list[Row]:
    key = tuple(fixed[name] for name in projection.key_columns)

    def read(connection: Connection) -> list[Row]:
        row = rows_then.row(connection, projection, key, moments.position_of(connection, at))
        return [dict(row)] if row else []

    with reading(set_up()) as connection:
        return read(connection)
