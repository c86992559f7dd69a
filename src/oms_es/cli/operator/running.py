"""Processes that run until they are stopped: the engine, the relay, workers, the sender of webhooks.

`migrate` prepares the database for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

import psycopg
import structlog
import typer

from oms_es.app import Engine, Runtime
from oms_es.app.connecting.providers import answers_folder
from oms_es.app.connecting.reach import roles_that_run
from oms_es.app.connecting.warehouse_answers import answering
from oms_es.app.deliveries import Deliverer, stored
from oms_es.app.privacy.encrypting import still_in_the_clear
from oms_es.app.privacy.forgetter import Periods, keeping
from oms_es.app.reporting.reporter import reporting
from oms_es.app.reporting.scheduled import Places
from oms_es.app.workers import Workers, roles_of
from oms_es.cli.operator.topics import kafka_of
from oms_es.cli.terminal import (
    HINT_OF_GATEWAYS,
    data_keys_of,
    external,
    log_key_of,
    migrated,
    opened,
    reached,
    say,
    set_up,
    treatments_of,
)
from oms_es.database.selection import NoDatabase, database
from oms_es.gateways.webhooks import networks_of
from oms_es.processing import metrics
from oms_es.processing.ending import ending_within
from oms_es.processing.garbage import collect_seldom
from oms_es.processing.loop import stopping_on_signals
from oms_es.processing.readers import Worker
from oms_es.settings import Settings

log = structlog.get_logger(__name__)
IN_THE_CLEAR = (
    "personal data is stored in the clear: give OMS_DATA_KEY_FILE or OMS_DATA_KEY and migrate again to encrypt it"
)


def participants(settings: Settings) -> Callable[[Runtime], Sequence[Worker]]:
    """Return what makes the workers that an engine has beside its readers: they forget, take in files, and report."""
    makers = (keeping(Periods.of(settings)), answering(answers_folder(settings)), reporting(Places.of(settings)))
    return lambda runtime: [worker for make in makers for worker in make(runtime)]


def run_engine() -> None:
    """Run the engine until SIGTERM or SIGINT."""
    settings = set_up("info")
    collect_seldom()
    with database(settings, "engine") as place:
        if place.alone:
            migrated(place.url, settings)
        engine = Engine(
            place.url,
            cache_bytes_max=settings.cache_bytes_max,
            **external(settings),
            batch_max=settings.batch_max,
            poll_seconds=settings.poll_seconds,
            log_key=log_key_of(settings),
            beside=participants(settings),
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


def run_deliverer() -> None:
    """Send webhooks to subscriptions until SIGTERM or SIGINT; a second process is a standby."""
    settings = set_up("info")
    with database(settings, "reader") as place, opened(Runtime(place.url, simulated=False)) as runtime:
        deliverer = Deliverer(runtime, partial(stored, runtime.database_url), networks_of(settings.webhook_networks))
        with stopping_on_signals() as stopping:
            say(f"sending webhooks of {place.place}; stop with SIGTERM or Ctrl-C")
            with metrics.served(settings.metrics_host, settings.metrics_port, deliverer.health()):
                deliverer.run(stopping, settings.poll_seconds)


def run_relay() -> None:
    """Publish the log to Kafka until SIGTERM or SIGINT; a second relay is a standby."""
    work([], relaying=True)


def run_worker(
    roles: Annotated[
        list[str], typer.Argument(metavar="ROLE...", help="Names of roles, or consumers, projections, gateways, all.")
    ],
) -> None:
    """Run some roles on Kafka until SIGTERM or SIGINT, beside any number of others."""
    work(roles_of(roles), relaying=False)


def warn_of_what_waits(engine: Runtime) -> None:
    settings = Settings()
    missing = [name for name in engine.waiting() if name not in reached(settings)]
    if missing or not reached(settings):
        log.warning("no gateways are connected, intents wait", waiting=engine.waiting(), hint=HINT_OF_GATEWAYS)


def work(roles: Sequence[str], *, relaying: bool) -> None:
    settings = set_up("info")
    if not settings.database_url:
        raise NoDatabase("workers share an ordinary PostgreSQL server; name it with OMS_DATABASE_URL")
    collect_seldom()
    running = roles if relaying else roles_that_run(roles, reached(settings))
    workers = Workers(
        settings.database_url,
        kafka_of(settings),
        running,
        relaying=relaying,
        **external(settings),
        session_seconds=settings.kafka_session_seconds,
        channels=settings.own_topics,
        periods=Periods.of(settings),
        warehouse_folder=answers_folder(settings),
        report_places=Places.of(settings),
        batch_max=settings.batch_max,
        treatments=treatments_of(settings),
        log_key=log_key_of(settings),
        cache_bytes_max=settings.cache_bytes_max,
    )
    watched = metrics.served(settings.metrics_host, settings.metrics_port, workers.health())
    with stopping_on_signals() as stopping, ending_within(stopping), opened(workers), watched as port:
        say(f"running {', '.join(running) or 'the relay'}" + (f", metrics on port {port}" if port else ""))
        workers.loop.ends_when_stopped = settings.on_stopped == "exit"
        if running != roles:
            warn_of_what_waits(workers)
        workers.loop.run(stopping)


def migrate_database(
    *,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only say how many events hold personal data in the clear; change nothing."),
    ] = False,
) -> None:
    """Create missing tables, rebuild read models that this version folds differently, and encrypt personal data that
    was stored in the clear. Safe to run again, also if it was interrupted."""
    settings = set_up()
    if dry_run:
        _say_what_is_in_the_clear(settings)
        return
    with database(settings, "engine") as place:
        migrated(place.url, settings)
        say(f"every table and read model of this version is there on {place.place}")
        if not data_keys_of(settings):
            say(IN_THE_CLEAR)


def _say_what_is_in_the_clear(settings: Settings) -> None:
    with database(settings, "reader") as place, psycopg.connect(place.url) as connection:
        found = still_in_the_clear(connection)
    what = "would be encrypted" if data_keys_of(settings) or not settings.database_url else "stay so without a data key"
    typer.echo(f"{found.events:,} events up to position {found.through:,} hold personal data in the clear: they {what}")
