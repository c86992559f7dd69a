"""`oms-es demo`: a week of orders through the whole engine, then every promise is checked."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from oms_es import rendering as display
from oms_es.app import Engine
from oms_es.app.workers import ROLES, Workers, topics
from oms_es.cli.operator.checking import verified
from oms_es.cli.operator.topics import kafka_of
from oms_es.cli.terminal import (
    Json,
    migrated,
    opened,
    print_json,
    say,
    set_up,
)
from oms_es.database.left_over import HOME, remove_left_over
from oms_es.database.selection import Database, database
from oms_es.demo import run as demo_run
from oms_es.exit_codes import Code
from oms_es.kafka.client import Config, create_topics
from oms_es.processing.garbage import collect_seldom
from oms_es.reports import queries
from oms_es.settings import Settings

DAYS_SHOWN = 31
DEMO_PARTITIONS = 3
PREFIX = "oms-es-demo-"
"""Of the temporary directory of a database that is not kept."""


def demo(
    *,
    orders: Annotated[int, typer.Option(min=1, help="How many orders come in.")] = 3_000,
    seed: Annotated[int, typer.Option(help="Another seed is another world.")] = 1,
    json: Json = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the database; the same demo again goes on.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="End with every table: phases, each step, sales per day, each question.")
    ] = False,
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
    demo_input = demo_run.complete_journey(orders) if dataset else demo_run.made_up(orders, seed)
    with demo_database(settings, keep=keep) as place:
        outcome = play(place, demo_input, seed, kafka_of(settings, kafka) if kafka else None)
    if json:
        print_json(outcome.as_json())
    else:
        display.console_on(sys.stdout).print(outcome.as_tables() if everything else outcome.as_text())
    if keep:
        say(
            f"the database is kept in {place.place}; look at it with `oms-es orders list`, or in a browser: "
            "`oms-es serve --with-engine`, then open the address that it prints, with /console"
        )
    else:
        say(
            "the database of this run is gone; to look at one, `oms-es demo --keep`, then `oms-es serve --with-engine` "
            "and open the address that it prints, with /console"
        )
    if not outcome.report.passed:
        raise typer.Exit(Code.DIFFERENT)


@contextmanager
def demo_database(settings: Settings, *, keep: bool) -> Iterator[Database]:
    with ExitStack() as stack:
        if not keep:
            for directory in remove_left_over(Path(tempfile.gettempdir()), PREFIX):
                say(f"ended and removed the database of a demo that was killed, {directory}")
            temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX))
            Path(temporary).chmod(0o711)  # the server's account passes through; what is in it is closed
            settings = settings.model_copy(update={"database_url": None, "home": Path(temporary) / HOME})
        say("starting a database")
        place = stack.enter_context(database(settings, "engine"))
        migrated(place.url, settings)
        yield place


def play(place: Database, demo_input: demo_run.DemoInput, seed: int, kafka: Config | None) -> demo_run.Outcome:
    console = display.console_on(sys.stderr)
    with opened(demo_engine(place, seed, kafka)) as engine:
        ran = demo_run.run(engine, demo_input, console)
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
