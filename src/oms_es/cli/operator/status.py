"""`oms-es status`: the progress of every role, which roles are behind, and which stopped, wherever they run."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from oms_es import rendering as display
from oms_es.app.connecting.reach import roles_that_run
from oms_es.app.workers import INTERESTS
from oms_es.cli.terminal import Json, print_json, reached, reading, say, set_up
from oms_es.database.selection import engine_of
from oms_es.exit_codes import Code
from oms_es.reports.operations.readers import Interests, Reader, Standing, standing
from oms_es.settings import Settings


def status(*, json: Json = False) -> None:
    """Each role's position and backlog, and why a stopped role stopped. Exit code 9: a role stopped."""
    settings = set_up()
    with reading(settings) as connection:
        found = standing(connection, interests_of(settings))
    engine = engine_of(settings)
    if json:
        print_json(as_json(found, engine))
    else:
        display.console_on(sys.stdout).print(shown(found))
        say(f"an engine runs on this home (pid {engine})" if engine else summary(found))
    if found.stopped:
        raise typer.Exit(Code.BEHIND)


def interests_of(settings: Settings) -> Interests:
    """Return the interests of the roles that run with these settings: without gateways, their intents are meant to
    wait."""
    roles = roles_that_run(list(INTERESTS), reached(settings))
    return {role: INTERESTS[role] for role in roles}


def as_json(found: Standing, engine: str | None) -> dict[str, object]:
    return {
        "end": found.end,
        "published": found.published,
        "engine_pid": engine and int(engine),
        "at_rest": not found.behind,
        "stopped": found.stopped,
        "readers": [reader._asdict() for reader in found.readers],
        "circuits": list(found.circuits),
    }


def summary(found: Standing) -> str:
    if not found.behind:
        return f"every role has taken everything up to position {found.end:,}"
    return f"{len(found.behind)} roles have more to do; start an engine with `oms-es run`, or workers on Kafka"


def shown(found: Standing) -> RenderableType:
    rows = [(reader.role, f"{reader.position:,}", f"{reader.behind:,}", _state(reader)) for reader in found.readers]
    published = "" if found.published is None else f", published up to {found.published:,}"
    title = f"Roles, with the log at position {found.end:,}{published}"
    table = display.grid(title, rows, "role", "position", "still to do", "", numbers=("position", "still to do"))
    return Group(table, *_reasons(found))


def _state(reader: Reader) -> str:
    if reader.stopped:
        return "STOPPED"
    return "behind" if reader.behind else "ok"


def _reasons(found: Standing) -> Iterator[Text]:
    for name, why in found.stopped.items():
        yield Text(f"{display.plain(name)} stopped: {display.plain(why)}", style="red")
    for one in found.circuits:
        state, since = one["state"].replace("_", " "), display.moment(one["since"])
        why = f": {display.plain(one['why'])}" if one["why"] else ""
        style = "" if one["state"] == "closed" else "yellow"
        yield Text(f"gateway {display.plain(one['gateway'])}: {state} since {since} UTC{why}", style=style)
