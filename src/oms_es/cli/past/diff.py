"""`oms-es diff`: the differences of a read model, an order or a SKU between two moments."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice
from typing import Annotated

import typer

from oms_es import rendering as display
from oms_es.app import PROJECTIONS
from oms_es.cli.desk.single import order_named
from oms_es.cli.desk.then import read_model
from oms_es.cli.terminal import Json, at_of, print_json, reading, say, set_up
from oms_es.history import differences, moments
from oms_es.history.differences import DIFFERENCES_MAX, Difference
from oms_es.kernel import Projection
from oms_es.reports.queries import Connection

SHOWN_MAX = 200
Moment = Annotated[
    str, typer.Argument(metavar="MOMENT|POSITION", help="A moment such as 2026-01-05T12:00Z, a position, or now.")
]


def diff(
    since: Moment,
    until: Moment,
    *,
    read_models: Annotated[
        list[str] | None,
        typer.Option("--read-model", metavar="READ_MODEL", help="Compare this read model; may be repeated."),
    ] = None,
    order: Annotated[str | None, typer.Option(help="Compare all rows of an order.")] = None,
    sku: Annotated[str | None, typer.Option(help="Compare all rows of a SKU.")] = None,
    json: Json = False,
) -> None:
    """Rows that were added, removed or changed between two moments: of read models, of an order, or of a SKU."""
    if sum(one is not None for one in (read_models or None, order, sku)) != 1:
        raise typer.BadParameter("say of what: --read-model READ_MODEL, --order ORDER, or --sku SKU")
    moment = [at_of(None if text == "now" else text) for text in (since, until)]
    models = {one.name: one for one in map(read_model, read_models or ())}
    with reading(set_up()) as connection:
        first, last = (moments.position_of(connection, one) for one in moment)
        if first > last:
            raise typer.BadParameter(f"{since} is after {until}; say the earlier one first")
        found = _found(connection, [*models.values()], order, sku, first, last)
    if is_cut := len(found) > DIFFERENCES_MAX:
        say(f"more than {DIFFERENCES_MAX:,} rows differ, these are the first; ask for a shorter time")
        found = found[:DIFFERENCES_MAX]
    if json:
        print_json([{"read_model": one.name, **difference.as_json()} for one, difference in found])
        return
    rows = [(one.name, "/".join(map(str, d.key.values())), d.what, _words(d)) for one, d in found[:SHOWN_MAX]]
    if rows:
        title = f"From position {first} to {last}"
        display.console_on(sys.stdout).print(display.grid(title, rows, "read model", "row", "it", "what"))
    else:
        say("nothing differs")
    if len(found) > SHOWN_MAX:
        say(f"{SHOWN_MAX} of {len(found):,} rows are shown; {'these' if is_cut else 'all'} with --json")


def _found(
    connection: Connection, models: Sequence[Projection], order: str | None, sku: str | None, first: int, last: int
) -> list[tuple[Projection, Difference]]:
    found: list[tuple[Projection, Difference]] = []
    with display.progress_on(display.console_on(sys.stderr)) as progress:
        column, value = ("order_id", order_named(connection, order)["order_id"]) if order is not None else ("sku", sku)
        if value is not None:
            named = differences.of_named(connection, PROJECTIONS, column, value, first, last)
            return list(islice(named, DIFFERENCES_MAX + 1))
        for one in models:
            reached = display.history_progress(progress, f"reading {one.name}")
            of_model = differences.of_read_model(connection, one, first, last, reached)
            found += [(one, difference) for difference in islice(of_model, DIFFERENCES_MAX + 1 - len(found))]
    return found


def _words(difference: Difference) -> str:
    before, after = difference.before or {}, difference.after or {}
    if difference.what == "changed":
        return ", ".join(
            f"{name} {display.fact(before[name])} → {display.fact(after[name])}" for name in difference.fields
        )
    there = after or before
    return ", ".join(f"{name} {display.fact(value)}" for name, value in there.items() if name not in difference.key)
