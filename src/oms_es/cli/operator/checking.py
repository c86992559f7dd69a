"""`oms-es verify` and `oms-es rebuild`: compare everything with history, and fold read models again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from oms_es import rendering as display
from oms_es.app import DECIDERS, PROJECTIONS, Runtime
from oms_es.app.sharing.verifying import verify_together
from oms_es.app.workers import PUBLISHED_READ_MODELS
from oms_es.cli.operator.held import Against, Keys, held_checkpoints, trusted_keys
from oms_es.cli.operator.status import interests_of
from oms_es.cli.terminal import (
    AtPosition,
    Json,
    one_of,
    opened,
    print_json,
    say,
    set_up,
)
from oms_es.database.selection import database, engine_of
from oms_es.exit_codes import Code
from oms_es.history import moments
from oms_es.kernel import Projection
from oms_es.processing.bulk.processes import cores
from oms_es.processing.garbage import collect_seldom
from oms_es.proof.notes import VerifierKey
from oms_es.reports import queries
from oms_es.reports.operations.readers import standing
from oms_es.schemas.vocabulary import EVENTS
from oms_es.settings import Settings
from oms_es.store import schema
from oms_es.store.encoding.codec import Codec
from oms_es.verification.seal_checks import Signed
from oms_es.verification.verify import Report, verify_until

DIFFERENCES_SHOWN_MAX = 5


def verify_history(
    *,
    json: Json = False,
    at_rest: Annotated[
        bool,
        typer.Option("--at-rest", help="Fail if a reader has work left; the default if no engine runs."),
    ] = False,
    key: Keys = None,
    against: Against = None,
    at: AtPosition = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes that share the work; by default as many as there are cores.")
    ] = None,
) -> None:
    """Read the whole history, and verify every invariant and every read model. With --at, only the invariants up to
    that moment are verified: past read models are folded, not compared."""
    settings = set_up()
    if at is not None:
        if key or against:
            raise typer.BadParameter("checkpoints are of the whole log: leave out --at, or --key and --against")
        _verify_until(settings, at, json=json)
        return
    trusted, held = trusted_keys(key), held_checkpoints(against)
    at_rest = at_rest or not (settings.database_url or engine_of(settings))
    with database(settings, "reader") as place:
        with queries.reading(place.url) as connection:
            schema.require(connection, PROJECTIONS)
            behind = standing(connection, interests_of(settings)).behind
        report = verified(place.url, trusted, held, processes)
    if json:
        print_json({"passed": report.passed, "behind": behind, **report._asdict()})
    else:
        display.console_on(sys.stdout).print(display.findings(report, DIFFERENCES_SHOWN_MAX))
        for role, events in behind.items():
            typer.echo(f"{role} is {events:,} events behind")
    if not report.passed:
        raise typer.Exit(Code.DIFFERENT)
    if behind and at_rest:
        say(f"{len(behind)} readers have more to do; start an engine with `oms-es run`, or see `oms-es status`")
        raise typer.Exit(Code.BEHIND)


def _verify_until(settings: Settings, at: str, *, json: bool) -> None:
    moment = moments.at_in(at)
    with database(settings, "reader") as place, display.progress_on(display.console_on(sys.stderr)) as progress:
        with queries.reading(place.url) as connection:
            schema.require(connection, PROJECTIONS)
            until = moments.position_of(connection, moment)
        collect_seldom()
        shown = display.history_progress(progress, "reading history")
        report = verify_until(place.url, DECIDERS, Codec(EVENTS), until, shown)
    if json:
        print_json({"passed": report.passed, **report._asdict()})
    else:
        display.console_on(sys.stdout).print(display.findings(report, DIFFERENCES_SHOWN_MAX))
    if not report.passed:
        raise typer.Exit(Code.DIFFERENT)


def rebuild_read_models(
    names: Annotated[list[str] | None, typer.Argument(metavar="READ_MODEL...")] = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Rebuild every read model, from one reading of history.")
    ] = False,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes that share the read models; without it, as many as cores.")
    ] = None,
    json: Json = False,
) -> None:
    """Fold read models again from history, beside those in use, and replace the rows that differ in one transaction."""
    chosen = read_models_named(names or [], everything=everything)
    collect_seldom()
    with (
        database(set_up(), "reader") as place,
        opened(Runtime(place.url)) as parts,
        display.progress_on(display.console_on(sys.stderr)) as progress,
    ):
        rebuilt = parts.rebuild_all(
            chosen,
            published=PUBLISHED_READ_MODELS,
            progress=display.history_progress(progress, "reading history"),
            processes=processes or cores(),
        )
    if json:
        print_json([one._asdict() for one in rebuilt])
    else:
        display.console_on(sys.stdout).print(display.rebuilt(rebuilt))


def read_models_named(names: Sequence[str], *, everything: bool) -> Sequence[Projection]:
    known = {projection.name: projection for projection in PROJECTIONS}
    if bool(names) == everything:
        raise typer.BadParameter(f"name some of {', '.join(known)}, or say --all")
    return PROJECTIONS if everything else [one_of(known, name, "read model") for name in dict.fromkeys(names)]


def verified(
    database_url: str, keys: Sequence[VerifierKey] = (), against: Sequence[Signed] = (), processes: int | None = None
) -> Report:
    """`processes`: without it, as many as cores."""
    collect_seldom()
    with display.progress_on(display.console_on(sys.stderr)) as progress:
        shown = display.history_progress(progress, "reading history")
        return verify_together(database_url, shown, keys, against, processes or cores())
