"""Giving a command of the vocabulary by hand, or previewing it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from oms_es import rendering as display
from oms_es.aggregates.order.placement import is_known_otherwise
from oms_es.app import Engine
from oms_es.app.verbs import changed
from oms_es.cli.terminal import (
    actor_of,
    print_json,
    say,
    set_up,
    writing,
)
from oms_es.errors import OtherContent
from oms_es.kernel import BadInput, Command, Recorded, Refused
from oms_es.reports import existence, queries
from oms_es.schemas.order import PlaceOrder
from oms_es.store.encoding.codec import Cause

LINES_MAX = 12
"""Lines of one field that are printed; the others are counted."""
LINE_CHARACTERS_MAX = 160
NOTHING = "-"


def do(command: Command, *, json: bool, preview: bool) -> None:
    if preview:
        show_preview(command, json=json)
        return
    with writing(set_up()) as engine:
        require_what_it_names(engine, command)
        recorded = engine.store.execute([(Cause(actor_of(command)), screened(engine, command))])
        known_otherwise = isinstance(command, PlaceOrder) and is_known_otherwise(
            engine.store.state_of(command.stream)[0], command
        )
    if json:
        print_json([as_json(one) for one in recorded])
    else:
        for one in recorded:
            typer.echo(f"{one.position} {type(one.event).__name__} in {one.stream}")
    if isinstance(command, PlaceOrder) and known_otherwise:
        name = f"{command.channel}/{command.external_id}"
        raise OtherContent(
            f"order {name} is known with other content, and stays as it is; "
            f"compare and settle it with `oms-es exceptions show duplicate_conflict/{name}`"
        )
    if not (recorded or json):
        say("already done: it is so, and nothing changes")


def screened(engine: Engine, command: Command) -> Sequence[Command]:
    """Return the commands to give: the command itself, or what replaces it if it names something unknown. Raise
    Refused."""
    (given,) = engine.screen([command])
    if isinstance(given, BadInput):
        raise Refused(given.reason, given.detail)
    return given


def require_what_it_names(engine: Engine, command: Command) -> None:
    """Raise Refused if something that the command names does not exist."""
    with queries.reading(engine.database_url) as connection:
        existence.require(existence.Asking(engine.store.state_of, connection), command)


def show_preview(command: Command, *, json: bool) -> None:
    """Print the events that the command would emit and the changes to the state; nothing is written."""
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
    rows = [
        (name.replace("_", " "), *map(display.plain_lines, before_and_after(old, new)))
        for name, (old, new) in differences.items()
    ]
    if rows:
        display.console_on(sys.stdout).print(display.grid("What would change", rows, "", "before", "after"))
    if not events:
        say("already done: it is so, and nothing changes")


def before_and_after(old: Any, new: Any) -> tuple[str, str]:
    """Return a field of a state before and after, in words; of maps only the entries that differ."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        names = [name for name in dict.fromkeys((*old, *new)) if old.get(name) != new.get(name)]
        was, now = ([_entry(name, side[name]) for name in names if name in side] for side in (old, new))
        return _cut(was), _cut(now)
    return as_words(old), as_words(new)


def as_words(value: Any) -> str:
    """Return a value in words; each of several compound entries on a line of its own."""
    match value:
        case dict():
            return _cut([_entry(name, part) for name, part in _said(value).items()])
        case list() | tuple() if any(isinstance(part, dict | list | tuple) for part in value):
            return _cut([_in_a_line(part) for part in value])
        case _:
            return _in_a_line(value)


def _entry(name: str, value: Any) -> str:
    return _short(f"{name}: {_in_a_line(value)}")


def _in_a_line(value: Any) -> str:
    match value:
        case None | "":
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case dict():
            return _short(", ".join(f"{name} {_within(part)}" for name, part in _said(value).items()) or NOTHING)
        case list() | tuple():
            return _short(", ".join(map(_within, value)) or NOTHING)
        case _:
            return _short(str(value))


def _within(value: Any) -> str:
    inside = _in_a_line(value)
    return f"({inside})" if isinstance(value, dict | list | tuple) else inside


def _short(line: str) -> str:
    return line if len(line) <= LINE_CHARACTERS_MAX else f"{line[: LINE_CHARACTERS_MAX - 1]}…"


def _cut(lines: Sequence[str]) -> str:
    more = len(lines) - LINES_MAX
    return "\n".join([*lines[:LINES_MAX], f"… and {more} more"] if more > 0 else lines) or NOTHING


def _said(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries that are not empty."""
    return {name: part for name, part in value.items() if part not in (None, "", [], (), {})}


def as_json(recorded: Recorded) -> dict[str, Any]:
    return {
        "position": recorded.position,
        "stream": recorded.stream,
        "version": recorded.version,
        "name": type(recorded.event).__name__,
        "event": recorded.event,
    }
