"""`oms-es what-if`: history replayed in memory with changed rules; nothing of the database changes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from oms_es import rendering as display
from oms_es.app.verbs import id_of
from oms_es.cli.terminal import Json, at_of, print_json, reading, say, set_up
from oms_es.errors import NotFound
from oms_es.exit_codes import Code
from oms_es.history import moments
from oms_es.kernel import Recorded, Row
from oms_es.whatif.changes import Changes, file_of, number_of, require_known
from oms_es.whatif.comparing import Comparison, compare
from oms_es.whatif.equality import Unlike, unlike
from oms_es.whatif.figures import MEASURES, days_of, locations_of
from oms_es.whatif.history import Lived, read
from oms_es.whatif.page import as_html
from oms_es.whatif.reliving.relive import Relive
from oms_es.whatif.stories import Step, stories
from oms_es.written_files import write_file

SHOWN_MAX = 20
DAYS_SHOWN_MAX = 31
PLACED = "SKU@LOCATION=NUMBER, where * is any; may be repeated."


def what_if(
    *,
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MOMENT|POSITION",
            help="The moment from which history is replayed; without it, the beginning.",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="MOMENT|POSITION", help="The moment up to which history is replayed; without it, now."
        ),
    ] = None,
    rules: Annotated[
        Path | None, typer.Option(help="Sourcing rules, in a TOML or JSON file with their fields.")
    ] = None,
    rates: Annotated[list[Path] | None, typer.Option(help="A carrier's rates, in a file; may be repeated.")] = None,
    policy: Annotated[list[Path] | None, typer.Option(help="A return policy, in a file; may be repeated.")] = None,
    delivery: Annotated[list[Path] | None, typer.Option(help="A delivery option, in a file; may be repeated.")] = None,
    safety_stock: Annotated[list[str] | None, typer.Option(metavar="UNITS", help=f"Safety stock: {PLACED}")] = None,
    presale_limit: Annotated[list[str] | None, typer.Option(metavar="UNITS", help=f"Presale limits: {PLACED}")] = None,
    stock: Annotated[list[str] | None, typer.Option(metavar="UNITS", help=f"More or fewer units: {PLACED}")] = None,
    capacity: Annotated[
        list[str] | None, typer.Option(metavar="ORDERS", help="Orders a day: LOCATION=NUMBER; may be repeated.")
    ] = None,
    order: Annotated[
        str | None, typer.Option(help="Show both histories of one order, by its id or CHANNEL/EXTERNAL_ID.")
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the result as one page with charts.")] = None,
    json: Json = False,
) -> None:
    """Replay history under other rules, limits, capacities or stock, and show what differs. With nothing changed, it
    shows whether the replay equals history."""
    files = {"rules": [rules] if rules else [], "rates": rates, "policy": policy, "delivery": delivery}
    changes = Changes(
        published=[file_of(kind, path) for kind, paths in files.items() for path in paths or ()],
        safety_stock=dict(map(number_of, safety_stock or ())),
        presale_limits=dict(map(number_of, presale_limit or ())),
        stock=dict(map(number_of, stock or ())),
        capacities={place[1]: n for place, n in (number_of(text, located=False) for text in capacity or ())},
    )
    if order is not None and (json or html is not None or not any(changes)):
        raise typer.BadParameter("--order shows both stories in the terminal, of something that is changed")
    with reading(set_up()) as connection, display.progress_on(display.console_on(sys.stderr)) as progress:
        first = moments.position_of(connection, at_of(since)) if since is not None else 0
        last = moments.position_of(connection, at_of(until))
        if first > last:
            raise typer.BadParameter(f"{since} is after {until}; say the earlier one first")
        lived = read(connection, first, last, display.history_progress(progress, "reading history"))
        require_known(changes, [*lived.before, *lived.after])
        reached = display.history_progress(progress, "living it again")
        if not any(changes):
            relive = Relive(lived.before, lived.after)
            relive.run(lambda position: reached(position, last))
            comparison = None
        else:
            comparison = compare(lived, changes, last, lambda position: reached(position, last))
    if comparison is None:
        _say_whether_it_is_the_same(lived, last, relive, json=json)
    elif order is not None:
        _show_stories(stories([*lived.before, *lived.after], [*lived.before, *comparison.relived], id_of(order)))
    else:
        _show(comparison, json=json)
        if html is not None:
            _write(html, as_html(comparison, changes))


def _write(path: Path, text: str) -> None:
    write_file(path, [text.encode()])
    say(f"written to {path}")


def _show(found: Comparison, *, json: bool) -> None:
    if json:
        print_json(found.as_json())
        return
    console = display.console_on(sys.stdout)
    sides = found.before, found.after
    total = [(name, *_numbers(name, *(side.total for side in sides)), says) for name, says in MEASURES.items()]
    title = f"What if, from position {found.begins} to {found.ends}"
    numbers = ["before", "after", "change"]
    console.print(display.grid(title, total, "", *numbers, "says", numbers=numbers))
    for what, keys, picked in (
        ("day", days_of(*sides), [side.by_day for side in sides]),
        ("location", locations_of(*sides), [side.by_location for side in sides]),
    ):
        shown = list(islice(keys, DAYS_SHOWN_MAX))
        columns = ("parcels", "freight_minor", "stock_outs")
        rows = [(key, *(_arrow(name, *(side.get(key, {}) for side in picked)) for name in columns)) for key in shown]
        console.print(display.grid(f"By {what}", rows, what, *columns, numbers=columns))
        if len(keys) > len(shown):
            say(f"{len(shown)} of {len(keys)} are shown; all with --json")
    typer.echo(
        f"{len(found.differ):,} orders differ; {found.modelled:,} of all rest on answers that history does not have: "
        "the median time of the same kind of answer, and a good one"
    )
    for order_id in found.differ[:SHOWN_MAX]:
        typer.echo(f"  {order_id}")


def _show_stories(steps: Sequence[Step]) -> None:
    if not steps:
        raise NotFound("history has no such order by then; `oms-es orders list` names those that there are")
    rows = [(*_side(step.before), "" if step.is_same else "≠", *_side(step.after)) for step in steps]
    columns = ("recorded", "it was", "", "recorded then", "it would be")
    display.console_on(sys.stdout).print(display.grid("Both stories", rows, *columns))


def _side(row: Row | None) -> tuple[str, str]:
    return (display.moment(row["recorded_at"]), f"{row['event']}: {row['summary']}") if row else ("", "")


def _numbers(name: str, before: dict[str, float], after: dict[str, float]) -> tuple[str, str, str]:
    was, would_be = before.get(name, 0.0), after.get(name, 0.0)
    return f"{was:,.7g}", f"{would_be:,.7g}", f"{would_be - was:+,.6g}"


def _arrow(name: str, before: dict[str, float], after: dict[str, float]) -> str:
    was, would_be, _ = _numbers(name, before, after)
    return was if was == would_be else f"{was} → {would_be}"


def _say_whether_it_is_the_same(lived: Lived, last: int, relive: Relive, *, json: bool) -> None:
    found = list(unlike(lived.after, relive.events(lived.begins)))
    if json:
        print_json(
            {
                "begins": lived.begins,
                "ends": last,
                "events": len(lived.after),
                "relived": relive.fork.end - lived.begins,
                "restated": relive.counts["restated"],
                "differ": [_as_json(one) for one in found[:SHOWN_MAX]],
                "streams_that_differ": len(found),
            }
        )
    elif found:
        rows = [(one.stream, one.version, _named(one.real), _named(one.relived)) for one in islice(found, SHOWN_MAX)]
        title = f"{len(found):,} streams differ from position {lived.begins} to {last}"
        display.console_on(sys.stdout).print(display.grid(title, rows, "stream", "version", "it was", "lived again"))
    else:
        typer.echo(f"{len(lived.after):,} events from position {lived.begins} to {last} lived again: all are the same")
    if relive.counts["restated"]:
        say(f"{relive.counts['restated']:,} were restated, as no command gives them back")
    if found:
        raise typer.Exit(Code.DIFFERENT)


def _named(recorded: Recorded | None) -> str:
    return type(recorded.event).__name__ if recorded else ""


def _as_json(one: Unlike) -> dict[str, object]:
    sides = {"real": one.real, "relived": one.relived}
    shown = {name: r and {"event": type(r.event).__name__, "data": r.event.model_dump()} for name, r in sides.items()}
    return {"stream": one.stream, "version": one.version, **shown}
