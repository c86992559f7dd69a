"""A command of the vocabulary, given by hand: decided, or only previewed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import typer

from oms_es import rendering as display
from oms_es.app import Engine
from oms_es.app.verbs import changed
from oms_es.cli.generated import as_words
from oms_es.cli.terminal import (
    actor_of,
    print_json,
    say,
    set_up,
    writing,
)
from oms_es.kernel import BadInput, Command, Recorded, Refused
from oms_es.reports import existence, queries
from oms_es.store.encoding.codec import Cause


def do(command: Command, *, json: bool, preview: bool) -> None:
    if preview:
        show_preview(command, json=json)
        return
    with writing(set_up()) as engine:
        require_what_it_names(engine, command)
        recorded = engine.store.execute([(Cause(actor_of(command)), screened(engine, command))])
    if json:
        print_json([as_json(one) for one in recorded])
        return
    for one in recorded:
        typer.echo(f"{one.position} {type(one.event).__name__} in {one.stream}")
    if not recorded:
        say("already done: it is so, and nothing changes")


def screened(engine: Engine, command: Command) -> Sequence[Command]:
    """What is given in its place, where it names something unknown. Raises Refused."""
    (given,) = engine.screen([command])
    if isinstance(given, BadInput):
        raise Refused(given.reason, given.detail)
    return given


def require_what_it_names(engine: Engine, command: Command) -> None:
    """Raises Refused."""
    with queries.reading(engine.database_url) as connection:
        existence.require(existence.Asking(engine.store.state_of, connection), command)


def show_preview(command: Command, *, json: bool) -> None:
    """The fold of the events that would happen; nothing is written."""
    with writing(set_up(), run=False) as engine:
        require_what_it_names(engine, command)
        screened(engine, command)
        before, events, after = engine.store.preview(command)
    shown = [{"name": type(event).__name__, "event": event} for event in events]
    differences = changed(before, after)
    if json:
        print_json({"stream": command.stream, "events": shown, "changed": differences})
        return
    for event in events:
        typer.echo(f"would be recorded: {type(event).__name__} in {command.stream}")
    rows = [(name.replace("_", " "), as_words(old), as_words(new)) for name, (old, new) in differences.items()]
    if rows:
        display.console_on(sys.stdout).print(display.grid("What would change", rows, "", "before", "after"))
    if not events:
        say("already done: it is so, and nothing changes")


def as_json(recorded: Recorded) -> dict[str, Any]:
    return {
        "position": recorded.position,
        "stream": recorded.stream,
        "version": recorded.version,
        "name": type(recorded.event).__name__,
        "event": recorded.event,
    }
