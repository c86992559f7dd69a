"""`oms-es states`: past states of read models that are kept, so that queries about the past are fast."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from oms_es import rendering as display
from oms_es.cli.operator.checking import read_models_named
from oms_es.cli.terminal import AtPosition, Json, at_of, reading, say, set_up, show_list
from oms_es.database.selection import database
from oms_es.exit_codes import Code
from oms_es.history import moments, states
from oms_es.reports import queries
from oms_es.reports.streams import end_of_log
from oms_es.store import schema

EVERY_MIN = 1_000
app = typer.Typer(help="Kept states of read models, from which past states are computed.", no_args_is_help=True)
Names = Annotated[list[str] | None, typer.Argument(metavar="READ_MODEL...")]
Everything = Annotated[bool, typer.Option("--all", help="Every read model.")]


@app.command("list")
def list_states(*, json: Json = False) -> None:
    """Kept states, the oldest first."""
    with reading(set_up()) as connection:
        found = states.kept(connection)
    columns = {
        "read model": lambda one: one.read_model,
        "position": lambda one: one.position,
        "version": lambda one: one.version,
        "made because it was": lambda one: one.kind,
    }
    show_list("Kept states", found, columns, "none is kept: `oms-es states keep`", json=json)


@app.command("keep")
def keep(
    names: Names = None,
    *,
    everything: Everything = False,
    every: Annotated[
        int | None,
        typer.Option(min=EVERY_MIN, metavar="EVENTS", help="Keep a state at every so many events of the log."),
    ] = None,
    at: AtPosition = None,
) -> None:
    """Keep the state of read models as of a moment, or at every so many events. A state that is kept already is left as
    it is."""
    chosen = read_models_named(names or [], everything=everything)
    moment = at_of(at)
    if (moment is None) == (every is None):
        raise typer.BadParameter("say as of when with --at, or how often with --every")
    with database(set_up(), "writer") as place:
        with queries.reading(place.url) as connection:
            schema.require(connection, chosen)
            end = end_of_log(connection)
            positions = (
                [moments.position_of(connection, moment)]
                if moment is not None
                else range(every or 1, end + 1, every or 1)
            )
        if len(positions) > states.KEPT_MAX:
            raise typer.BadParameter(f"that would be {len(positions)} states of each; keep {states.KEPT_MAX} at most")
        with display.progress_on(display.console_on(sys.stderr)) as progress:
            shown = display.history_progress(progress, "reading history")
            made = sum(
                len(states.keep(place.url, chosen, one, "kept", reached=lambda at, _: shown(at, end)))
                for one in positions
            )
    say(f"{made} states made")


@app.command("drop")
def drop(names: Names = None, *, everything: Everything = False) -> None:
    """Delete the kept states of read models."""
    named = read_models_named(names or [], everything=everything)
    # including read models that this release no longer has
    chosen = None if everything else {one.name for one in named}
    with database(set_up(), "writer") as place, queries.reading(place.url) as connection:
        connection.execute("SET default_transaction_read_only = off")
        gone, left = states.drop_of(connection, chosen)
    say(f"{gone} states dropped")
    if left:
        say(f"{left} are being read, and still hold what they hold; run it again")
        raise typer.Exit(Code.UNAVAILABLE)
