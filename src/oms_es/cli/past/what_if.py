"""`oms-es what-if`: history lived again on a fork in memory; nothing of the database changes."""

from __future__ import annotations

import sys
from itertools import islice
from typing import Annotated

import typer

from oms_es import rendering as display
from oms_es.cli.terminal import Json, at_of, print_json, reading, say, set_up
from oms_es.exit_codes import Code
from oms_es.history import moments
from oms_es.kernel import Recorded
from oms_es.whatif.equality import Unlike, unlike
from oms_es.whatif.history import read
from oms_es.whatif.relive import Relive

SHOWN_MAX = 20


def what_if(
    *,
    since: Annotated[
        str | None, typer.Option("--from", metavar="MOMENT|POSITION", help="From then; from the beginning if left out.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="MOMENT|POSITION", help="Up to then; up to now if left out.")
    ] = None,
    json: Json = False,
) -> None:
    """Live history again in memory, and see whether it comes out as it was."""
    with reading(set_up()) as connection, display.progress_on(display.console_on(sys.stderr)) as progress:
        first = moments.position_of(connection, at_of(since)) if since is not None else 0
        last = moments.position_of(connection, at_of(until))
        if first > last:
            raise typer.BadParameter(f"{since} is after {until}; say the earlier one first")
        lived = read(connection, first, last, display.history_progress(progress, "reading history"))
        relive = Relive(lived.before, lived.after)
        reached = display.history_progress(progress, "living it again")
        relive.run(lambda position: reached(position, last))
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
