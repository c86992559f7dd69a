"""The command line. Data goes to stdout, messages to stderr; the exit code says what became of it.

Every failure is one line that says what to do next; with OMS_LOG_LEVEL=debug it comes with its traceback.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Literal, TypeVar

import structlog
import typer

from oms_es import rendering as display
from oms_es.app import DECIDERS, PROJECTIONS, Engine, Runtime
from oms_es.app.deliveries import Deliverer
from oms_es.app.one_pass import cores
from oms_es.app.verbs import changed, verbs
from oms_es.app.workers import PUBLISHED_READ_MODELS, ROLES, Workers, roles_of, roles_that_run, topics
from oms_es.cli import dead_letters as desk_letters
from oms_es.cli import exceptions as desk_exceptions
from oms_es.cli import lists as desk_lists
from oms_es.cli import orders as desk_orders
from oms_es.cli import single as desk_single
from oms_es.cli.connections import connections_app
from oms_es.cli.failures import failed
from oms_es.cli.generated import add_to, as_words
from oms_es.cli.importing import import_callbacks, import_orders
from oms_es.cli.serving import keys_app, link_order, run_server
from oms_es.cli.status import interests_of, status
from oms_es.cli.subscriptions import deliveries_app, subscriptions_app
from oms_es.cli.terminal import (
    HINT_OF_GATEWAYS,
    At,
    Json,
    actor_of,
    is_simulated,
    migrated,
    not_known_at,
    opened,
    past_moment_of,
    print_json,
    reading,
    say,
    set_up,
    treatments_of,
    writing,
)
from oms_es.cli.topics import app as topics_app
from oms_es.cli.topics import kafka_of
from oms_es.database.selection import Database, NoDatabase, database, engine_of
from oms_es.demo import run as demo_run
from oms_es.errors import NotFound
from oms_es.exit_codes import Code
from oms_es.gateways.webhooks import networks_of
from oms_es.history import as_of
from oms_es.kafka.client import Config, create_topics
from oms_es.kernel import BadInput, Command, Projection, Recorded, Refused
from oms_es.processing import metrics
from oms_es.processing.ending import ending_within
from oms_es.processing.garbage import collect_seldom
from oms_es.processing.loop import stopping_on_signals
from oms_es.reference import files, releases
from oms_es.reference.json_schemas import messages, over_http
from oms_es.reference.narrowings import NARROWINGS
from oms_es.reports import existence, queries
from oms_es.reports.readers import standing
from oms_es.reports.shipping_quote import UnknownLocation, quote_for
from oms_es.schemas.order import Address
from oms_es.schemas.values.cards import masked
from oms_es.schemas.vocabulary import EVENTS
from oms_es.settings import Settings
from oms_es.simulation.campaign import campaign, failure, soaking, story
from oms_es.simulation.components import WHOLE
from oms_es.simulation.guards import BY_NAME, missed
from oms_es.simulation.logging_off import quiet
from oms_es.simulation.run import Outcome
from oms_es.simulation.scenario import MINUTES, PROFILES
from oms_es.store import schema
from oms_es.store.codec import Cause, Codec
from oms_es.verification.verify import Report, verify

DIFFERENCES_SHOWN_MAX = 5
DAYS_SHOWN = 31
DEMO_PARTITIONS = 3
SEEDS_PER_LINE = 200
INTERRUPTED = 128 + signal.SIGINT

log = structlog.get_logger(__name__)
T = TypeVar("T")


app = typer.Typer(
    help="An event-sourced order processing engine: stock that cannot be oversold, orders that explain themselves.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
orders_app = typer.Typer(help="Orders, many at a time: take them in, list and find them.", no_args_is_help=True)
report_app = typer.Typer(help="Reports.", no_args_is_help=True)
exceptions_app = typer.Typer(help="What a person must look at, until it is settled.", no_args_is_help=True)
letters_app = typer.Typer(help="Input from outside that could not be used.", no_args_is_help=True)
reference_app = typer.Typer(help="What is published: message schemas, AsyncAPI, pages.", no_args_is_help=True)
app.add_typer(orders_app, name="orders")
callbacks_app = typer.Typer(help="What payment providers and carriers report.", no_args_is_help=True)
app.add_typer(callbacks_app, name="callbacks")
app.add_typer(report_app, name="report")
app.add_typer(letters_app, name="dead-letters")
app.add_typer(exceptions_app, name="exceptions")
app.add_typer(reference_app, name="reference")
app.add_typer(topics_app, name="topics")
ENTITIES = {
    "order": "One order.",
    "stock": "Stock of a SKU at a location.",
    "payment": "One payment of an order.",
    "shipment": "One shipment of an order.",
    "location": "Places that hold stock.",
    "rates": "What carriers charge.",
    "delivery": "Delivery options, and what they promise.",
    "tracker": "What a carrier says of a tracking number.",
    "return": "Goods that come back (RMA).",
    "policy": "What channels promise about returns.",
    "feedback": "What customers say.",
}
"""What each group of commands is about; its commands are made of the vocabulary, at the end of this file."""
VERBS = [verb for verb in verbs(DECIDERS) if verb.command not in desk_exceptions.GIVEN_HERE]
groups = {
    name: typer.Typer(help=ENTITIES.get(name), no_args_is_help=True) for name in dict.fromkeys(v.group for v in VERBS)
}
for name, group in groups.items():
    app.add_typer(group, name=name)
order_app, stock_app, shipment_app = groups["order"], groups["stock"], groups["shipment"]

Directory = Annotated[Path, typer.Argument(file_okay=False, help="Where it is.")]


def _version(*, asked: bool) -> None:
    if asked:
        typer.echo(f"oms-es {metadata.version('oms-es')}, schema {schema.SCHEMA_VERSION}")
        raise typer.Exit


@app.callback()
def of_every_command(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=lambda asked: _version(asked=asked), is_eager=True, help="Say which.")
    ] = False,
) -> None:
    """An event-sourced order processing engine: stock that cannot be oversold, orders that explain themselves."""


@app.command()
def demo(
    *,
    orders: Annotated[int, typer.Option(min=1, help="How many orders come in.")] = 3_000,
    seed: Annotated[int, typer.Option(help="Another seed is another world.")] = 1,
    json: Json = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the database; the same demo again goes on.")] = False,
    dataset: Annotated[
        Literal["completejourney"] | None, typer.Option(help="Real baskets instead of a made-up world.")
    ] = None,
    kafka: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="By way of this Kafka, whose topics of ours must be unused.")
    ] = None,
) -> None:
    """Watch a week of orders go through the whole engine, mishaps included, then check every promise."""
    settings = set_up("warning" if json or not sys.stderr.isatty() else "error")
    collect_seldom()
    told = demo_run.complete_journey(orders) if dataset else demo_run.made_up(orders, seed)
    with demo_database(settings, keep=keep) as place:
        outcome = play(place, told, seed, kafka_of(settings, kafka) if kafka else None)
    if json:
        print_json(outcome.as_json())
    else:
        display.console_on(sys.stdout).print(outcome.as_text())
    if keep:
        say(
            f"the database is kept in {place.place}; look at it with `oms-es order show`, `oms-es report daily-sales`, "
            "or over HTTP with `oms-es serve --with-engine`"
        )
    if not outcome.report.passed:
        raise typer.Exit(Code.DIFFERENT)


@contextmanager
def demo_database(settings: Settings, *, keep: bool) -> Iterator[Database]:
    with ExitStack() as stack:
        if not keep:
            home = stack.enter_context(tempfile.TemporaryDirectory(prefix="oms-es-demo-"))
            Path(home).chmod(0o711)  # the server's account passes through; what is in it is closed
            settings = settings.model_copy(update={"database_url": None, "home": Path(home) / "home"})
        say("starting a database")
        place = stack.enter_context(database(settings, "engine"))
        migrated(place.url)
        yield place


def play(place: Database, told: demo_run.Told, seed: int, kafka: Config | None) -> demo_run.Outcome:
    console = display.console_on(sys.stderr)
    with opened(demo_engine(place, seed, kafka)) as engine:
        ran = demo_run.run(engine, told, console)
    report = verified(place.url)
    with queries.reading(place.url) as connection:
        return demo_run.Outcome(ran, demo_run.story_of(connection), queries.daily_sales(connection, DAYS_SHOWN), report)


def demo_engine(place: Database, seed: int, kafka: Config | None) -> Engine | Workers:
    chaos, transit_seconds = demo_run.chaos_of(seed), demo_run.TRANSIT_SECONDS
    if kafka is None:
        engine = Engine(place.url, chaos=chaos, transit_seconds=transit_seconds)
        engine.require_the_log()
        return engine
    create_topics(kafka, topics(DEMO_PARTITIONS), replicas=1)
    return Workers(place.url, kafka, ROLES, relaying=True, chaos=chaos, transit_seconds=transit_seconds)


@app.command(name="run")
def run_engine() -> None:
    """Run the engine until SIGTERM or SIGINT."""
    settings = set_up("info")
    collect_seldom()
    with database(settings, "engine") as place:
        if place.alone:
            migrated(place.url)
        engine = Engine(
            place.url,
            simulated=is_simulated(settings),
            batch_max=settings.batch_max,
            poll_seconds=settings.poll_seconds,
        )
        engine.loop.ends_when_stopped = settings.on_stopped != "go_on"
        watched = metrics.served(settings.metrics_host, settings.metrics_port, engine.health())
        with opened(engine), watched as port, stopping_on_signals() as stopping:
            engine.require_the_log()
            say(f"running on {place.place}, from position {engine.last_position()}; stop with SIGTERM or Ctrl-C")
            if port:
                say(f"metrics on port {port}")
            warn_of_what_waits(engine)
            engine.loop.run(stopping)


app.command(name="serve")(run_server)
app.add_typer(keys_app, name="keys")
app.add_typer(connections_app, name="connections")
app.add_typer(subscriptions_app, name="subscriptions")
app.add_typer(deliveries_app, name="deliveries")


@app.command(name="deliver")
def run_deliverer() -> None:
    """Send webhooks to subscriptions until SIGTERM or SIGINT; a second process stands by."""
    settings = set_up("info")
    with database(settings, "reader") as place, opened(Runtime(place.url, simulated=False)) as runtime:
        deliverer = Deliverer(runtime, networks_of(settings.webhook_networks))
        with stopping_on_signals() as stopping:
            say(f"sending webhooks of {place.place}; stop with SIGTERM or Ctrl-C")
            deliverer.run(stopping, settings.poll_seconds)


@app.command(name="relay")
def run_relay() -> None:
    """Tell the log to Kafka until SIGTERM or SIGINT; a second relay stands by."""
    work([], relaying=True)


@app.command(name="worker")
def run_worker(
    roles: Annotated[
        list[str], typer.Argument(metavar="ROLE...", help="Names of roles, or consumers, projections, gateways, all.")
    ],
) -> None:
    """Run some roles on Kafka until SIGTERM or SIGINT, beside any number of others."""
    work(roles_of(roles), relaying=False)


def warn_of_what_waits(engine: Runtime) -> None:
    if not is_simulated(Settings()):
        log.warning("no gateways are connected, intents wait", waiting=engine.waiting(), hint=HINT_OF_GATEWAYS)


def work(roles: Sequence[str], *, relaying: bool) -> None:
    settings = set_up("info")
    if not settings.database_url:
        raise NoDatabase("workers share an ordinary PostgreSQL server; name it with OMS_DATABASE_URL")
    collect_seldom()
    running = roles if relaying else roles_that_run(roles, connected=is_simulated(settings))
    workers = Workers(
        settings.database_url,
        kafka_of(settings),
        running,
        relaying=relaying,
        simulated=is_simulated(settings),
        session_seconds=settings.kafka_session_seconds,
        channels=settings.own_topics,
        batch_max=settings.batch_max,
        treatments=treatments_of(settings),
    )
    watched = metrics.served(settings.metrics_host, settings.metrics_port, workers.health())
    with stopping_on_signals() as stopping, ending_within(stopping), opened(workers), watched as port:
        say(f"running {', '.join(running) or 'the relay'}" + (f", metrics on port {port}" if port else ""))
        workers.loop.ends_when_stopped = settings.on_stopped == "exit"
        if running != roles:
            warn_of_what_waits(workers)
        workers.loop.run(stopping)


@app.command(name="migrate")
def migrate_database() -> None:
    """Make the tables that are missing, and fold anew what this version folds otherwise. Safe to run again."""
    with database(set_up(), "engine") as place:
        migrated(place.url)
        say(f"every table and read model of this version is there on {place.place}")


orders_app.command("import")(import_orders)
callbacks_app.command("import")(import_callbacks)


@stock_app.command("show")
def show_stock(sku: str, *, at: At = None, json: Json = False) -> None:
    """What is where, or was, and how much of it could still be promised."""
    moment = past_moment_of(at) if at else None
    with reading(set_up()) as connection:
        if moment:
            levels, places, numbered = as_of.stock(connection, Codec(EVENTS), sku, moment)
        else:
            levels, places = queries.stock_of(connection, sku), queries.places_of(connection, sku)
            numbered = queries.numbered_at(connection, sku)
        if not levels and not moment:
            raise desk_single.no_stock(connection, sku)
    if moment and not levels:
        raise not_known_at(f"of any {sku}", moment)
    if json:
        told = [
            {
                **level,
                "places": [place for place in places if place["location"] == level["location"]],
                "serials": numbered.get(level["location"], []),
            }
            for level in levels
        ]
        print_json(told)
    else:
        display.console_on(sys.stdout).print(display.stock_levels(sku, levels, places, numbered))


@shipment_app.command("quote")
def quote_shipment(
    origin: Annotated[str, typer.Argument(metavar="LOCATION", help="Where it is shipped from.")],
    country: Annotated[str, typer.Argument(metavar="COUNTRY", help="Where it goes, such as DE.")],
    weight_grams: Annotated[list[int], typer.Argument(min=1, metavar="GRAMS...", help="Of each carton.")],
    *,
    delivery_option: str = "standard",
    latitude: float | None = None,
    longitude: float | None = None,
    json: Json = False,
) -> None:
    """What each carrier would charge, and who would be chosen."""
    with reading(set_up()) as connection:
        to = Address(country=country, latitude=latitude, longitude=longitude)
        try:
            choice = quote_for(connection, origin, to, weight_grams, delivery_option)
        except UnknownLocation as unknown:
            raise NotFound(str(unknown)) from unknown
    if not choice.candidates:
        raise NotFound("no carrier has published rates; do so with `oms-es rates publish`")
    if json:
        print_json(choice.model_dump(mode="json"))
    else:
        display.console_on(sys.stdout).print(display.quote(choice))


@stock_app.command("pick-advice")
def pick_advice(sku: str, location: str, *, json: Json = False) -> None:
    """Where to take units from: what expires first, first."""
    with reading(set_up()) as connection:
        places = queries.pick_advice(connection, sku, location, datetime.now(UTC))
    if not places:
        raise NotFound(f"there is nothing sellable of {sku} at {location}; `oms-es stock show {sku}` says where it is")
    if json:
        print_json(places)
    else:
        display.console_on(sys.stdout).print(display.pick_advice(sku, location, places))


@stock_app.command("low")
def running_low(*, json: Json = False) -> None:
    """What ran low and was asked for, until it has come; the oldest first."""
    with reading(set_up()) as connection:
        requests = queries.running_low(connection)
    if json:
        print_json(requests)
    elif requests:
        display.console_on(sys.stdout).print(display.running_low(requests))
    else:
        say("nothing is low; `oms-es stock set-reorder-point` says when to ask for more")


@report_app.command("daily-sales")
def daily_sales(
    *,
    days: Annotated[int, typer.Option(min=1, max=3_660, help="How many of the newest days.")] = DAYS_SHOWN,
    json: Json = False,
) -> None:
    """Orders and money per day of placing (UTC), by channel and currency."""
    with reading(set_up()) as connection:
        rows = queries.daily_sales(connection, days)
    if json:
        print_json(rows)
    elif rows:
        display.console_on(sys.stdout).print(display.daily_sales(rows))
    else:
        say("nothing was sold yet")


app.command(name="status")(status)


@app.command(name="verify")
def verify_history(
    *,
    json: Json = False,
    at_rest: Annotated[
        bool,
        typer.Option("--at-rest", help="Nobody may have more to do: the default where no engine runs."),
    ] = False,
) -> None:
    """Read the whole history: was any promise broken, and is every read model what history says?"""
    settings = set_up()
    at_rest = at_rest or not (settings.database_url or engine_of(settings))
    with database(settings, "reader") as place:
        with queries.reading(place.url) as connection:
            schema.require(connection, PROJECTIONS)
            behind = standing(connection, interests_of(settings)).behind
        report = verified(place.url)
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


@app.command(name="rebuild")
def rebuild_read_models(
    names: Annotated[list[str] | None, typer.Argument(metavar="READ_MODEL...")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every read model, from one reading of history.")] = False,
    processes: Annotated[
        int | None, typer.Option(min=1, help="How many share the read models out; without it, as many as cores.")
    ] = None,
    json: Json = False,
) -> None:
    """Fold read models anew from history, beside those in use, and replace what is wrong in one moment."""
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


def verified(database_url: str) -> Report:
    with display.progress_on(display.console_on(sys.stderr)) as progress:
        return verify(
            database_url, DECIDERS, PROJECTIONS, Codec(EVENTS), display.history_progress(progress, "reading history")
        )


@reference_app.command("write")
def write_reference(directory: Directory = files.DIRECTORY) -> None:
    """Write the schemas of all messages, the AsyncAPI document and the reference pages."""
    changed = files.write(directory, files.contents(app))
    say(f"wrote {len(changed)} files in {directory}" if changed else f"{directory} is as it should be")


@reference_app.command("check")
def check_reference(directory: Directory = files.DIRECTORY) -> None:
    """Is it as it should be, and can whoever built on a release still read us and be understood?"""
    stale = files.stale(directory, files.contents(app))
    broken = releases.broken_promises(releases.released(directory), [*messages(), *over_http()], NARROWINGS)
    for problem in (*(f"{name} is stale: run `make reference`" for name in stale), *broken):
        typer.echo(problem)
    if broken:
        say(releases.ADVICE)
    if stale or broken:
        raise typer.Exit(Code.DIFFERENT)


@reference_app.command("release")
def release_reference(directory: Directory = files.DIRECTORY) -> None:
    """Keep today's schemas as those of this version: from now on nothing may break them."""
    written = releases.release(directory, files.current_version(), [*messages(), *over_http()])
    say(f"wrote {written}" if written else f"{files.current_version()} is published already, as it is")


@app.command()
def simulate(
    *,
    seed: Annotated[int | None, typer.Option(help="Play this one, and tell what happened last.")] = None,
    seeds: Annotated[str, typer.Option(metavar="A..B", help="Play from A up to, and without, B.")] = "0..200",
    minutes: Annotated[float, typer.Option(min=0.1, help="Simulated time in which things go wrong.")] = MINUTES,
    profile: Annotated[str, typer.Option(help=f"One of {', '.join(PROFILES)}.")] = "stormy",
    without: Annotated[list[str] | None, typer.Option(metavar="GUARD", help="Take a guard of the design out.")] = None,
    guards: Annotated[bool, typer.Option("--guards", help="Take each guard out in turn: when is it missed?")] = False,
    soak: Annotated[float, typer.Option(metavar="SECONDS", help="Go on with fresh seeds for so long instead.")] = 0.0,
) -> None:
    """Play the whole engine in simulated time, with crashes, repeats and lost answers: is every promise kept?"""
    quiet(for_good=True)
    if guards:
        for row in missed(span_of(seeds), minutes):
            typer.echo(row)
        return
    chosen = one_of(PROFILES, profile, "profile")
    kit = WHOLE
    for name in without or ():
        kit = one_of(BY_NAME, name, "guard").without(kit)
    span = range(seed, seed + 1) if seed is not None else span_of(seeds)
    summary = campaign(soaking(soak, span.start) if soak else span, chosen, minutes, kit, told=telling(soak, span))
    for line in summary.lines():
        typer.echo(line)
    for outcome in summary.failed:
        for line in failure(outcome, kit):
            typer.echo(line)
        typer.echo(f"  again: oms-es simulate --seed {outcome.scenario.seed} --profile {profile} --minutes {minutes:g}")
    if summary.failed:
        raise typer.Exit(Code.DIFFERENT)
    if seed is not None:
        for line in story(summary):
            typer.echo(line)


def one_of(named: Mapping[str, T], name: str, what: str) -> T:
    if name not in named:
        raise typer.BadParameter(f"there is no {what} {name!r}; there are: {', '.join(named)}")
    return named[name]


def span_of(seeds: str) -> range:
    first, dots, last = seeds.partition("..")
    if not (dots and first.isdecimal() and last.isdecimal() and int(first) < int(last)):
        raise typer.BadParameter("seeds are written as A..B with A less than B, such as 0..200")
    return range(int(first), int(last))


def telling(soak: float, span: range) -> Callable[[Outcome], None]:
    """A line now and then, for whoever waits at a terminal."""

    def tell(outcome: Outcome) -> None:
        done = outcome.scenario.seed - span.start + 1
        if done % SEEDS_PER_LINE == 0 and sys.stderr.isatty():
            say(f"{done} seeds" + ("" if soak else f" of {len(span)}"))

    return tell


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
    told = [{"name": type(event).__name__, "event": event} for event in events]
    differences = changed(before, after)
    if json:
        print_json({"stream": command.stream, "events": told, "changed": differences})
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


orders_app.command("list")(desk_orders.listed)
orders_app.command("find")(desk_orders.found)
order_app.command("show")(desk_single.show_order)
order_app.command("link")(link_order)
order_app.command("why")(desk_single.why_there)
groups["payment"].command("show")(desk_single.show_payment)
groups["payment"].command("list")(desk_lists.list_payments)
shipment_app.command("show")(desk_single.show_shipment)
shipment_app.command("list")(desk_lists.list_shipments)
groups["return"].command("show")(desk_single.show_return)
groups["return"].command("list")(desk_lists.list_returns)
groups["location"].command("show")(desk_single.show_location)
groups["location"].command("list")(desk_single.list_locations)
stock_app.command("list")(desk_single.list_stock)
letters_app.command("list")(desk_letters.listed)
letters_app.command("show")(desk_letters.show)
letters_app.command("replay")(desk_letters.replay)
letters_app.command("discard")(desk_letters.discard)
exceptions_app.command("list")(desk_exceptions.listed)
exceptions_app.command("show")(desk_exceptions.show)
exceptions_app.command("assign")(desk_exceptions.assign)
exceptions_app.command("resolve")(desk_exceptions.resolve)
exceptions_app.command("take")(desk_exceptions.take)
for verb in VERBS:
    add_to(groups[verb.group], verb, do)
for registered in app.registered_groups:
    inner = registered.typer_instance
    registered.hidden = inner is not None and all(command.hidden for command in inner.registered_commands)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """As by an exception: what was opened is closed, also the embedded database."""

    def end(signum: int, _: FrameType | None) -> None:
        raise SystemExit(128 + signum)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def nobody_reads() -> int:
    """Whoever read the output has gone, such as `head`: nothing more is said, also not on the way out."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


def usage_of(wrong: typer.TyperException) -> str:
    """What is wrong, and which command says more; the help itself where nothing was asked."""
    message = wrong.format_message()
    asked: typer.Context | None = getattr(wrong, "ctx", None)
    if message.startswith("Usage:") or not asked:
        return message
    see = " See" if message.endswith((".", "?")) else "; see"
    return f"oms-es: {message}{see} `{asked.command_path} --help`"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    try:
        with ended_by_sigterm():
            ended_with = app(arguments, prog_name="oms-es", standalone_mode=False)
            sys.stdout.flush()
        if ended_with == INTERRUPTED:
            say("oms-es: interrupted; what was recorded stays, and the same command goes on from there")
        return ended_with if isinstance(ended_with, int) else Code.OK
    except BrokenPipeError:
        return nobody_reads()
    except typer.TyperException as wrong:
        say(masked(usage_of(wrong)))
        return wrong.exit_code
    except SystemExit as ended:
        if ended.code == 1:  # as typer and rich end where a pipe is broken
            return nobody_reads()
        return ended.code if isinstance(ended.code, int) else Code.OK
    except Exception as failure:  # noqa: BLE001 - whatever it is, a person gets one line
        code, message = failed(failure)
        say(f"oms-es: {message}")
        return code
