"""`oms-es demo`: a week of orders through the whole engine, then every promise is checked."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from http import HTTPStatus
from json import dumps, loads
from pathlib import Path
from typing import Annotated, Literal

import typer

from oms_es import rendering as display
from oms_es.app import Engine, Runtime
from oms_es.app.connecting.providers import openers_of
from oms_es.app.workers import ROLES, Workers, topics
from oms_es.cli.operator.checking import verified
from oms_es.cli.operator.topics import kafka_of
from oms_es.cli.terminal import (
    Json,
    external,
    migrated,
    opened,
    print_json,
    say,
    set_up,
)
from oms_es.database.left_over import HOME, remove_left_over
from oms_es.database.selection import Database, database
from oms_es.demo import run as demo_run
from oms_es.demo.protocol.outside import Beside, Outside
from oms_es.demo.protocol.providers import providers
from oms_es.demo.protocol.settlement import settled
from oms_es.demo.protocol.shop import ProtocolShop
from oms_es.exit_codes import Code
from oms_es.gateways.outgoing import request
from oms_es.http.server import listening, serving_beside
from oms_es.http.services import Services
from oms_es.kafka.client import Config, create_topics
from oms_es.processing.garbage import collect_seldom
from oms_es.reports import queries
from oms_es.settings import Settings

DAYS_SHOWN = 31
DEMO_PARTITIONS = 3
REPORTS_PER_SECOND_MAX = 100_000.0
PREFIX_OF_KEYS = "oms-es-keys-"
PREFIX = "oms-es-demo-"
"""Prefix of the temporary directory of a database that is not kept."""


def demo(
    *,
    orders: Annotated[int, typer.Option(min=1, help="Orders to send.")] = 3_000,
    seed: Annotated[int, typer.Option(help="The seed of the generated workload.")] = 1,
    json: Json = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the database; the same demo, run again, continues.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Print every table at the end: phases, timeline, sales per day, each check.")
    ] = False,
    dataset: Annotated[
        Literal["completejourney"] | None, typer.Option(help="Real baskets instead of generated ones.")
    ] = None,
    kafka: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Use this Kafka; the engine's topics on it must be unused.")
    ] = None,
    gateways: Annotated[
        Literal["simulated", "protocol"],
        typer.Option(
            help="Simulators; or servers of this machine that speak the protocols of Stripe, WeChat Pay, Alipay, "
            "EasyPost and kuaidi100, whose bills are reconciled at the end."
        ),
    ] = "simulated",
) -> None:
    """Watch a week of orders go through the whole engine, mishaps included, then check every promise."""
    if gateways == "protocol" and (dataset or kafka):
        raise typer.BadParameter(
            "--gateways protocol has a shop of its own, on the log: leave --dataset and --kafka out"
        )
    settings = set_up("warning" if json or not sys.stderr.isatty() else "error")
    collect_seldom()
    with demo_database(settings, keep=keep) as place:
        if gateways == "protocol":
            outcome = play_protocols(place, orders, seed)
        else:
            demo_input = demo_run.complete_journey(orders) if dataset else demo_run.made_up(orders, seed)
            outcome = play(place, demo_input, seed, kafka_of(settings, kafka) if kafka else None)
    if json:
        print_json(outcome.as_json())
    else:
        display.console_on(sys.stdout).print(outcome.as_tables() if everything else outcome.as_text())
    say(next_steps(str(place.place) if keep else None, program()))
    if not outcome.passed:
        raise typer.Exit(Code.DIFFERENT)


def program() -> str:
    """Return the program's name as the person's shell finds it."""
    return "oms-es" if shutil.which("oms-es") else sys.argv[0]


def next_steps(kept_in: str | None, called: str) -> str:
    """Return commands to copy for the next steps. They use the simulators: without, new orders would wait
    for payments."""
    begin = [f"the database is kept in {kept_in}; look at it with `{called} orders list`, or in a browser:"]
    if kept_in is None:
        begin = [
            "the database of this run is gone; to keep one, and look at it in a browser:",
            f"  {called} demo --keep",
        ]
    serve = f"  OMS_GATEWAYS=simulated {called} serve --with-engine"
    return "\n".join([*begin, serve, "then open the address of the console that it prints"])


@contextmanager
def demo_database(settings: Settings, *, keep: bool) -> Iterator[Database]:
    with ExitStack() as stack:
        if not keep:
            for directory in remove_left_over(Path(tempfile.gettempdir()), PREFIX):
                say(f"ended and removed the database of a demo that was killed, {directory}")
            temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX))
            # the server's account must pass through; the folder inside is closed to others
            Path(temporary).chmod(0o711)
            settings = settings.model_copy(update={"database_url": None, "home": Path(temporary) / HOME})
        say("starting a database")
        place = stack.enter_context(database(settings, "engine"))
        migrated(place.url, settings)
        yield place


def play(place: Database, demo_input: demo_run.DemoInput, seed: int, kafka: Config | None) -> demo_run.Outcome:
    console = display.console_on(sys.stderr)
    with opened(demo_engine(place, seed, kafka)) as engine:
        ran = demo_run.run(engine, demo_input, console)
    return outcome_of(place, ran)


def play_protocols(place: Database, orders: int, seed: int) -> demo_run.Outcome:
    """Play the demo through the protocols of real providers. Raise OtherDemo."""
    demo_input = demo_run.DemoInput(f"{demo_run.ACTOR}/protocol/{seed}/{orders}", ProtocolShop(seed, orders), orders)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX_OF_KEYS)))
        there = stack.enter_context(providers(seed, folder))
        settings = Settings.model_validate(Settings().model_dump(exclude_unset=True) | dict(there.settings))
        engine = stack.enter_context(opened(Engine(place.url, **external(settings))))
        engine.require_the_log()
        demo_run.refuse_begun(engine, demo_input.name)
        address = stack.enter_context(webhooks_beside(place, settings))
        open_connections(address, there.secrets)
        outside = Outside(there, place.url, address, seed, demo_run.TRANSIT_SECONDS)
        engine.external_systems = Beside(engine.external_systems, outside)
        stack.enter_context(outside.going_on())
        ran = demo_run.run(engine, demo_input, display.console_on(sys.stderr))
        accounts = settled(engine, there, seed)
        protocols = demo_run.Protocols(there.requests(), there.mishaps.count, outside.reported, accounts)
    return outcome_of(place, ran, protocols)


@contextmanager
def webhooks_beside(place: Database, settings: Settings) -> Iterator[str]:
    """Run the HTTP server that receives reports, in this process, and yield its address."""
    with opened(Runtime(place.url, simulated=False, answers_soon=True)) as parts:
        services = Services(parts, REPORTS_PER_SECOND_MAX, openers=openers_of(settings))
        with closing(services), serving_beside(services, listening("127.0.0.1", 0)) as address:
            yield address


def open_connections(address: str, secrets: Mapping[str, str]) -> None:
    """Open a connection for each provider over HTTP, under the provider's name, as a person would."""
    for name, secret in secrets.items():
        kept = _given(address, "/v1/webhook-secrets", {"secret": secret})
        _given(address, f"/v1/connections/{name}:open", {"dialect": name, "secret_id": kept["secret_id"]})


def _given(address: str, path: str, wanted: Mapping[str, str]) -> Mapping[str, str]:
    reply = request(address, "POST", path, {"Content-Type": "application/json"}, dumps(wanted).encode())
    said: Mapping[str, str] = loads(reply.body)
    if reply.status >= HTTPStatus.BAD_REQUEST:
        raise demo_run.OtherDemo(f"{path} is refused, {said}; use another database with OMS_HOME")
    return said


def outcome_of(place: Database, ran: demo_run.Ran, protocols: demo_run.Protocols | None = None) -> demo_run.Outcome:
    report = verified(place.url)
    with queries.reading(place.url) as connection:
        story, sales = demo_run.story_of(connection), queries.daily_sales(connection, DAYS_SHOWN)
        return demo_run.Outcome(ran, story, sales, report, protocols)


def demo_engine(place: Database, seed: int, kafka: Config | None) -> Engine | Workers:
    chaos, transit_seconds = demo_run.chaos_of(seed), demo_run.TRANSIT_SECONDS
    if kafka is None:
        engine = Engine(place.url, chaos=chaos, transit_seconds=transit_seconds)
        engine.require_the_log()
        return engine
    create_topics(kafka, topics(DEMO_PARTITIONS), replicas=1)
    return Workers(place.url, kafka, ROLES, relaying=True, chaos=chaos, transit_seconds=transit_seconds)
