"""What all commands share: the database, output for people and programs, and the actor of what they do."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import psycopg
import structlog
import typer
from pydantic_core import to_json

from oms_es import rendering as display
from oms_es.app import PROJECTIONS, Engine, Runtime, migrate
from oms_es.app.connecting.providers import answers_folder, connected_roles, gateways_of
from oms_es.app.connecting.warehouse_answers import answering
from oms_es.app.invoicing.pdf import FONTS
from oms_es.app.workers import GROUPS_OF_ROLES, PUBLISHED_READ_MODELS
from oms_es.cli.unknown_settings import misspelt
from oms_es.database.directories import default_home
from oms_es.database.selection import Database, Part, database
from oms_es.errors import NotFound
from oms_es.history import moments
from oms_es.kernel import Command, SystemCommand
from oms_es.processing.intake.screening import Treatments
from oms_es.processing.logging import configure_logging
from oms_es.proof.notes import SignerKey
from oms_es.reports import queries, streams
from oms_es.settings import Settings
from oms_es.store import schema
from oms_es.store.archive.files import ARCHIVE, beside
from oms_es.store.documents.places import SHELF
from oms_es.store.privacy import gift_codes, wrapping
from oms_es.store.privacy.gift_codes import CODES
from oms_es.store.privacy.subject_keys import is_encrypted
from oms_es.store.privacy.wrapping import KEYRING
from oms_es.store.sealing.keys import from_file

log = structlog.get_logger(__name__)
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
OrderName = Annotated[str, typer.Argument(metavar="ORDER", help="The order's id, or CHANNEL/EXTERNAL_ID.")]
At = Annotated[
    str | None, typer.Option(metavar="MOMENT", help="Use only what was recorded by then, such as 2026-01-05T12:00Z.")
]
AtPosition = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="MOMENT|POSITION",
        help="Show the state as of a moment, such as 2026-01-05T12:00Z, or of a position of the log.",
    ),
]
Level = Literal["debug", "info", "warning", "error"]
HINT_OF_GATEWAYS = "OMS_PAYMENTS=stripe connects one; for trying things out, OMS_GATEWAYS=simulated runs simulators"
WORLD_POLL_SECONDS = 0.05
P = TypeVar("P", bound=Runtime)
T = TypeVar("T")


def set_up(level: Level = "warning") -> Settings:
    """Read the settings and set up logging, keys and folders. `level`: the log level, unless OMS_LOG_LEVEL is set."""
    settings = Settings()
    configure_logging(settings.log_style, settings.log_level if "log_level" in settings.model_fields_set else level)
    for one in misspelt(os.environ):
        log.warning("ignored: there is no such setting", name=one.name, did_you_mean=one.nearest)
    KEYRING.hold(data_keys_of(settings))
    CODES.hold(code_keys_of(settings))
    SHELF.set_up(settings.document_folder, settings.document_bytes_max, settings.document_loose_days)
    ARCHIVE.set_up(archive_folder_of(settings), makes_it=settings.archive_folder is None)
    FONTS.set_up(settings.invoice_font)
    return settings


@contextmanager
def open_database(settings: Settings, part: Part) -> Iterator[Database]:
    """Open the database; a terminal shows that an embedded one is being started, which takes seconds."""
    with ExitStack() as stack:
        if settings.database_url:
            yield stack.enter_context(database(settings, part))
            return
        with display.waiting(sys.stderr, "opening the database"):
            place = stack.enter_context(database(settings, part))
        yield place


@contextmanager
def reading(settings: Settings) -> Iterator[queries.Connection]:
    with open_database(settings, "reader") as place, queries.reading(place.url) as connection:
        schema.require(connection, PROJECTIONS)
        yield connection


def migrated(database_url: str, settings: Settings) -> None:
    """Migrate the database, with progress on a terminal."""
    with psycopg.connect(database_url) as connection:
        data_keys = data_keys_of(settings, make=not is_encrypted(connection))
    CODES.hold(code_keys_of(settings, make=True))
    with display.progress_on(display.console_on(sys.stderr)) as progress:
        shown = partial(display.history_progress, progress)
        migrate(
            database_url,
            published=PUBLISHED_READ_MODELS,
            progress=shown,
            log_key=log_key_of(settings),
            data_keys=data_keys,
        )


def data_keys_of(settings: Settings, *, make: bool = False) -> list[bytes]:
    """Return the data keys; an empty list if a server's personal data is not encrypted. Raise NoDataKey.

    `make`: create a key for an embedded database that has none.
    """
    if settings.data_key:
        return wrapping.from_text(settings.data_key.get_secret_value())
    if settings.data_key_file:
        return wrapping.from_file(settings.data_key_file)
    if settings.database_url:
        return []
    file = wrapping.beside(settings.home or default_home())
    if make:
        wrapping.make_at(file)
    return wrapping.from_file(file) if file.exists() else []


def archive_folder_of(settings: Settings) -> Path | None:
    """Return the folder of archived events; that of an embedded database is beside its home unless one is given."""
    if settings.archive_folder or settings.database_url:
        return settings.archive_folder
    return beside(settings.home or default_home())


def code_keys_of(settings: Settings, *, make: bool = False) -> list[bytes]:
    """Return the keys of gift cards' codes; an empty list if a server has none. Raise NoCodeKey.

    `make`: create a key for an embedded database that has none.
    """
    file = settings.gift_card_key_file
    if file is None and not settings.database_url:
        home = settings.home or default_home()
        file = wrapping.beside(home.with_name(f"{home.name}.gift-cards"))
        if make:
            wrapping.make_at(file)
        file = file if file.exists() else None
    return gift_codes.keys_at(file) if file else []


def log_key_of(settings: Settings) -> SignerKey | None:
    """Return the key that signs checkpoints, or None. Raise NoLogKey."""
    return from_file(settings.log_key_file) if settings.log_key_file else None


@contextmanager
def writing(settings: Settings, *, run: bool = True) -> Iterator[Engine]:
    """Open an engine to append with. Afterwards it processes what follows, if no other engine runs on an embedded
    database."""
    with open_database(settings, "writer") as place:
        if place.alone:
            migrated(place.url, settings)
        engine = Engine(
            place.url,
            cache_bytes_max=settings.cache_bytes_max,
            alone=place.alone,
            **external(settings),
            treatments=treatments_of(settings),
            log_key=log_key_of(settings),
            beside=answering(answers_folder(settings)),
        )
        with opened(engine):
            yield engine
            if run and settle_unattended(engine, place):
                print_waiting(engine)


def show_list(
    title: str, found: Sequence[Any], columns: Mapping[str, Callable[[Any], Any]], nothing: str, *, json: bool
) -> None:
    """Print the list as a table or JSON. `columns`: a function for each title. `nothing`: the message for an empty
    list."""
    if json:
        print_json([one._asdict() if hasattr(one, "_asdict") else one for one in found])
    elif found:
        rows = [tuple(shown(one) for shown in columns.values()) for one in found]
        display.console_on(sys.stdout).print(display.grid(title, rows, *columns))
    else:
        say(nothing)


def settle_unattended(engine: Engine, place: Database) -> bool:
    """Process the log until nothing is left to do, unless another engine does so; return whether it was done here.

    A program that appends while an engine runs leaves the rest to that engine; therefore this one looks at the log
    again after it has released its place.
    """
    settled_to = -1
    while engine.last_position() > settled_to and place.take_over():
        try:
            settle(engine)
            settled_to = engine.log.end
        finally:
            place.leave()
    return settled_to >= 0


def settle(engine: Engine) -> None:
    """Process the log until nothing is left to do; show on a terminal what is left, or what is waited for."""
    engine.require_the_log()
    with display.progress_on(display.console_on(sys.stderr)) as progress:
        task = progress.add_task("doing what follows", total=None)
        while not engine.loop.stopped and ((taken := engine.loop.iterate()) or waits_for(engine)):
            end = engine.log.end
            what = "doing what follows" if taken else f"waiting for {waits_for(engine)}"
            progress.update(task, description=what, completed=end - engine.loop.behind(end), total=end)
            if not taken:
                engine.waiter.wait(WORLD_POLL_SECONDS)
    engine.settle()


def waits_for(engine: Engine) -> str:
    """Return what an otherwise idle engine waits for, or an empty string."""
    answers = engine.external_systems.outstanding()
    callbacks = [f"{answers:,} answers of simulated systems"] if answers else []
    silent = [f"{name}, which does not answer" for name in engine.loop.paused()]
    return ", ".join(callbacks + silent)


def is_simulated(settings: Settings) -> bool:
    return settings.gateways == "simulated"


def external(settings: Settings) -> dict[str, Any]:
    """Return the engine's parameters for gateways: simulated or connected ones."""
    return {"simulated": is_simulated(settings), "connected": gateways_of(settings)}


def reached(settings: Settings) -> frozenset[str]:
    """Return the gateway roles whose external system is connected or simulated."""
    simulated = GROUPS_OF_ROLES["gateways"] if is_simulated(settings) else ()
    return connected_roles(settings).union(simulated)


def treatments_of(settings: Settings) -> Treatments:
    return Treatments(**{kind: getattr(settings, f"unknown_{kind}") for kind in Treatments._fields})


def print_waiting(engine: Runtime) -> None:
    """Print how many intents wait for gateways that are not connected, which explains why no payment or parcel
    proceeds."""
    there = {gateway.name for gateway in engine.gateways}
    if waiting := {name: count for name, count in engine.waiting().items() if name not in there}:
        counted = ", ".join(f"{count} for {name}" for name, count in waiting.items())
        say(f"no gateways are connected, and intents wait: {counted}; {HINT_OF_GATEWAYS}")


@contextmanager
def opened(engine: P) -> Iterator[P]:
    """Open the engine within the context, and close it also if it fails to open."""
    with closing(engine), engine:
        yield engine


def who() -> str:
    """Return the actor that is recorded with commands of this terminal."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # the account has no name
        return "cli"


def actor_of(command: Command) -> str:
    """Return the command's actor. A command that only the engine gives is a repair by hand, and is logged."""
    if not isinstance(command, SystemCommand):
        return who()
    actor = f"{who()}, as the system"
    log.warning("given as the system", command=type(command).__name__, stream=command.stream, actor=actor)
    return actor


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a suggestion such as ", did you mean web?", or an empty string if nothing is similar."""
    alike = get_close_matches(name, list(known), n=1)
    return f", did you mean {alike[0]}?" if alike else ""


def moment_of(text: str) -> datetime:
    """Parse a moment; UTC unless it has another offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no moment; write it as 2026-01-05T12:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def past_moment_of(text: str) -> datetime:
    """Parse a moment in the past; a future one is an error."""
    moment = moment_of(text)
    if moment > datetime.now(UTC):
        raise typer.BadParameter(f"{text} is still to come; leave --at out for the current state")
    return moment


def at_of(text: str | None) -> streams.At | None:
    """Parse a position of the log or a moment in the past. Raise NoMoment or StillToCome."""
    at = moments.at_in(text) if text is not None else None
    if isinstance(at, datetime) and at > datetime.now(UTC):
        raise moments.StillToCome(f"{text} is still to come; leave --at out for the current state")
    return at


def not_known_at(what: str, at: streams.At) -> NotFound:
    when = f"position {at}" if isinstance(at, int) else f"{at:%Y-%m-%dT%H:%M:%S%z}"
    return NotFound(f"{what} was not known at {when}; ask for a later moment")


def print_json(value: object) -> None:
    typer.echo(to_json(value).decode())


def say(message: str) -> None:
    typer.echo(message, err=True)


def say_more(after: object) -> None:
    """Say how to see the next page, unless `after` is empty, as there is none."""
    if after:
        say(f"there are more: repeat the command with --after {after}")


def one_of(named: Mapping[str, T], name: str, what: str) -> T:
    if name not in named:
        raise typer.BadParameter(f"there is no {what} {name!r}; there are: {', '.join(named)}")
    return named[name]
