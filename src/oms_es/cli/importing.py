"""Imports from files: orders, callbacks, and any other dialect with one message per line."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from oms_es import rendering as display
from oms_es.app import PARSERS, Engine, bulk_commands
from oms_es.app.connecting.polling import HOURS_MAX, poll, subscribe
from oms_es.app.connecting.providers import NotSetUp, answers_folder, subscriber_of, trackings_of
from oms_es.app.connecting.warehouse_answers import answers_of
from oms_es.channels import DIALECTS
from oms_es.cli.terminal import Json, print_json, say, set_up, writing
from oms_es.database.selection import database
from oms_es.exit_codes import Code
from oms_es.gateways.callbacks import CALLBACKS
from oms_es.kernel import Command, GatewayUnavailable, Recorded
from oms_es.processing.intake import jsonl as lines
from oms_es.processing.intake.input_files import TRIED_MAX, Input, arrivals_of, opened_input
from oms_es.processing.intake.jsonl import BadFile
from oms_es.processing.intake.worker import Intake, Outcome, Parser
from oms_es.reports import existence, queries
from oms_es.reports.needs import NO_LOCATION
from oms_es.schemas.order import DuplicateConflictFound, OrderPlaced, PlaceOrder


def _format(dialects: Iterable[str], meaning: str) -> Any:
    """Return the option that chooses one of the dialects."""
    names = sorted(dialects)

    def known(given: str) -> str:
        if given not in names:
            raise typer.BadParameter(f"{given!r} is not one of {', '.join(names)}.")
        return given

    return typer.Option("--format", callback=known, metavar=f"[{'|'.join(names)}]", help=meaning)


InputName = Annotated[
    str, typer.Argument(metavar="FILE|-", help="The file, with one input per line; gzip is unpacked; - is stdin.")
]
Anyway = Annotated[
    bool, typer.Option("--anyway", help="Import even if none of the first lines can be used: all become dead letters.")
]
SHOWN = ("placed", "repeated", "conflicting", "rejected")
SELDOM = ("placed", "changed", "conflicting", "skipped")
"""Shown where there were any."""
CALLBACKS_SHOWN = ("changed", "repeated", "rejected")
NoRun = Annotated[bool, typer.Option("--no-run", help="Only import, and do not process what follows.")]


REFUSALS_SHOWN = 20


class Tally:
    """Counts of the outcomes of a file's lines."""

    def __init__(self) -> None:
        self.arrived = self.rejected = 0
        self.given = Counter[str]()
        self.broken: BadFile | None = None
        """Why the file could not be read to its end, or None."""

    def note(self, outcomes: Sequence[Outcome]) -> None:
        self.given.update(_called(*outcome) for outcome in outcomes)

    @property
    def accepted(self) -> int:
        return self.given.total()

    def as_json(self) -> dict[str, int]:
        outcomes = {name: self.given[name] for name in ("placed", "changed", "repeated", "conflicting")}
        skipped = self.arrived - self.accepted - self.rejected
        return {"accepted": self.accepted, **outcomes, "skipped": skipped, "rejected": self.rejected}


def _called(command: Command, events: Sequence[Recorded]) -> str:
    if not events:
        return "repeated"
    if isinstance(command, PlaceOrder):
        kinds: Mapping[type, str] = {OrderPlaced: "placed", DuplicateConflictFound: "conflicting"}
        return next((kinds[type(one.event)] for one in events if type(one.event) in kinds), "changed")
    return "changed"


def import_orders(
    file: InputName,
    *,
    dialect: Annotated[str, _format(DIALECTS, "How the orders are written.")] = "canonical",
    json: Json = False,
    no_run: NoRun = False,
    anyway: Anyway = False,
) -> None:
    """Import orders, one per line. A line that cannot be used becomes a dead letter, and the import goes on."""
    taken = import_lines(file, dialect, run=not no_run, anyway=anyway, then=report_if_all_wait)
    report(taken, json=json, hint="a corrected order may simply be imported again")


def import_callbacks(
    file: InputName,
    *,
    dialect: Annotated[str, _format(CALLBACKS, "Who wrote them, and in which words.")],
    json: Json = False,
    no_run: NoRun = False,
    anyway: Anyway = False,
) -> None:
    """Import what payment providers and carriers reported, one callback per line, such as a provider's export. A
    callback that is known already changes nothing. A line that cannot be used becomes a dead letter, and the import
    goes on."""
    taken = import_lines(file, dialect, run=not no_run, anyway=anyway)
    report(taken, json=json, hint="a corrected callback may simply be imported again", shown=CALLBACKS_SHOWN)


def poll_callbacks(*, json: Json = False, no_run: NoRun = False) -> None:
    """Ask the carrier for the status of parcels that are booked or on their way, and record the answers. For
    installations that webhooks cannot reach, or that missed some: run it from cron. A status that is known already
    changes nothing. kuaidi100 is asked only for parcels that SF Express and EasyPost do not know."""
    settings = set_up("error")
    trackings = trackings_of(settings)
    with writing(settings, run=not no_run) as engine:
        polled = poll(engine, trackings)
    _print_counts(polled._asdict(), json=json)
    if polled.unanswered:
        raise GatewayUnavailable(f"for {polled.unanswered} parcels the carrier gave no answer: run it again later")
    if polled.rejected:
        say("see why with `oms-es dead-letters list`")
        raise typer.Exit(Code.BURIED)


def collect_callbacks(*, json: Json = False, no_run: NoRun = False) -> None:
    """Take in the answers of warehouses that lie in OMS_WAREHOUSE_FOLDER, and move their files. An engine that runs
    with this setting does so by itself. An answer that is known already changes nothing. Wait for files that are being
    written, a minute at most."""
    settings = set_up("error")
    folder = answers_folder(settings)
    if not folder:
        raise NotSetUp("no warehouse exchanges files; set OMS_WAREHOUSE=files and OMS_WAREHOUSE_FOLDER")
    with writing(settings, run=not no_run) as engine:
        answers = answers_of(folder, engine)
        collected = answers.collect_all()
    _print_counts(collected._asdict(), json=json)
    if collected.failed:
        raise GatewayUnavailable(f"{answers.problem}; repair this, then run it again")
    if collected.rejected:
        say("the reason lies beside each file in `rejected`; see also `oms-es exceptions list`")
        raise typer.Exit(Code.BURIED)


def subscribe_callbacks(
    *,
    booked_within_hours: Annotated[
        int, typer.Option(min=1, max=HOURS_MAX, help="Subscribe to parcels booked in the last so many hours.")
    ] = 48,
    json: Json = False,
) -> None:
    """Ask kuaidi100 to push each change of parcels that are booked or on their way. Run it from cron, after parcels are
    booked: a parcel that is followed already stays followed, at no charge."""
    settings = set_up("error")
    subscriber = subscriber_of(settings)
    with database(settings, "reader") as place:
        answers = subscribe(subscriber, place.url, booked_within_hours)
    outcomes = Counter(answer.outcome for answer in answers.values())
    counts = {"asked": len(answers), **{name: outcomes[name] for name in ("followed", "refused", "unknown")}}
    if json:
        refused = [{**n._asdict(), "reason": a.reason} for n, a in answers.items() if a.outcome == "refused"]
        print_json({**counts, "refusals": refused})
    else:
        _print_counts(counts, json=False)
        for number, answer in list(answers.items())[:REFUSALS_SHOWN] if outcomes["refused"] else ():
            if answer.outcome == "refused":
                say(f"{number.carrier} {number.tracking_number}: {answer.reason}")
    if outcomes["unknown"]:
        raise GatewayUnavailable(f"for {outcomes['unknown']} parcels no answer came: run it again later")
    if outcomes["refused"]:
        raise typer.Exit(Code.REFUSED)


def _print_counts(counts: Mapping[str, int], *, json: bool) -> None:
    if json:
        print_json(counts)
    else:
        typer.echo(", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items()))


def report_if_all_wait(engine: Engine, tally: Tally) -> None:
    with queries.reading(engine.database_url) as connection:
        if tally.accepted and not queries.is_any_location_open(connection):
            say(f"{NO_LOCATION}; until then orders wait")


def import_lines(
    file: str,
    dialect: str,
    *,
    run: bool,
    anyway: bool,
    then: Callable[[Engine, Tally], None] | None = None,
    batches_of: Callable[[Input], Iterator[lines.LineBatch]] | None = None,
) -> Tally:
    """Import a file in any dialect, from opening it to the tally. Raise BadFile.

    `batches_of` reads a file that does not have one input per line.
    """
    parse = lines.bounded(PARSERS[dialect])
    settings = set_up("error")
    with opened_input(file) as source:
        batches = batches_of(source) if batches_of else arrivals_of(source, parse, anyway=anyway)
        with writing(settings, run=run) as engine, queries.reading(engine.database_url) as connection:
            intake = _intake(engine, connection, source, dialect, parse)
            tally = take_in(engine, intake, source, batches, anyway=anyway, run=run)
            if then and not tally.broken:
                then(engine, tally)
            return tally


def _intake(engine: Engine, connection: queries.Connection, source: Input, dialect: str, parse: Parser) -> Intake:
    """Commands in bulk are checked as they are when they are given alone."""
    name = f"import:{source.name}"
    if dialect != bulk_commands.DIALECT:
        return Intake(name, dialect, parse, engine.store, engine.log, tracked=False, screen=engine.screen)
    asking = existence.Asking(engine.store.state_of, connection)
    screen = bulk_commands.screened(asking, engine.screen)
    return bulk_commands.BulkIntake(name, dialect, parse, engine.store, engine.log, tracked=False, screen=screen)


def take_in(
    engine: Engine, intake: Intake, source: Input, batches: Iterator[lines.LineBatch], *, anyway: bool, run: bool
) -> Tally:
    tally = Tally()
    intake.on_outcomes = tally.note
    with imported(source) as show_progress:
        for batch in _readable(batches, tally):
            if batch.arrivals:
                tally.arrived += len(batch.arrivals)
                tally.rejected += intake.take(batch.arrivals).dead_letters
            show_progress()
            if not (tally.accepted or anyway) and tally.rejected >= TRIED_MAX:
                raise BadFile(_nothing_taken(source.name, tally.rejected))
            if run and engine.alone:
                engine.keep_up()
    return tally


def _readable(batches: Iterator[lines.LineBatch], tally: Tally) -> Iterator[lines.LineBatch]:
    """Yield the batches up to a read error, which is recorded in the tally."""
    try:
        yield from batches
    except BadFile as broken:
        tally.broken = broken


def _nothing_taken(name: str, rejected: int) -> str:
    return (
        f"none of the first {rejected} lines of {name} was taken, and the import stopped; they are dead letters: "
        "see why with `oms-es dead-letters list`, and say --anyway to go on"
    )


@contextmanager
def imported(source: Input) -> Iterator[Callable[[], None]]:
    """Show on a terminal how much of the file is read."""
    with display.progress_on(display.console_on(sys.stderr), in_bytes=True) as progress:
        task = progress.add_task(f"importing {display.plain(source.name)}", total=source.size)
        yield lambda: progress.update(task, completed=source.read())


def report(tally: Tally, *, json: bool, hint: str, shown: Sequence[str] = SHOWN) -> None:
    counts = tally.as_json()
    if json:
        print_json(counts)
    else:
        said = (f"{name} {count}" for name, count in counts.items() if name in shown or (count and name in SELDOM))
        typer.echo(", ".join(said))
    if tally.broken:
        raise tally.broken
    if not tally.arrived:
        say("nothing was in it: no line, or none that is not blank")
    if tally.rejected:
        say(f"see why with `oms-es dead-letters list`; {hint}")
        raise typer.Exit(Code.BURIED)


callbacks_app = typer.Typer(help="Reports of payment providers, carriers and warehouses.", no_args_is_help=True)
callbacks_app.command("import")(import_callbacks)
callbacks_app.command("poll")(poll_callbacks)
callbacks_app.command("collect")(collect_callbacks)
callbacks_app.command("subscribe")(subscribe_callbacks)
