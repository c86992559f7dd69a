"""`oms-es serve` and the commands for its API keys and customer links."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Annotated, Any

import psycopg
import typer
from psycopg.rows import dict_row

from oms_es import console
from oms_es import rendering as display
from oms_es.app import PROJECTIONS, Engine, Runtime
from oms_es.app.connecting.providers import openers_of
from oms_es.cli.desk.single import order_named
from oms_es.cli.operator.running import participants
from oms_es.cli.operator.status import interests_of
from oms_es.cli.terminal import (
    Json,
    OrderName,
    external,
    log_key_of,
    migrated,
    nearest,
    opened,
    print_json,
    say,
    set_up,
    show_list,
    treatments_of,
    who,
)
from oms_es.database.selection import Database, database
from oms_es.errors import NotFound
from oms_es.http.access import LOCAL_ONLY, ROLES, SCOPES, channels_of
from oms_es.http.logins import Logins
from oms_es.http.reading import links
from oms_es.http.server import listening, serve
from oms_es.http.services import Services
from oms_es.http.tokens import Tokens
from oms_es.processing.ending import ending_within
from oms_es.processing.garbage import collect_seldom
from oms_es.reports import queries
from oms_es.settings import Settings
from oms_es.store import schema
from oms_es.store.http import api_keys, link_keys, sessions

keys_app = typer.Typer(help="API keys of the HTTP interface.", no_args_is_help=True)
ENDING_SECONDS = 20.0
OVERLAP_HOURS = 24.0


def run_server(
    *,
    with_engine: Annotated[
        bool, typer.Option("--with-engine", help="Run the engine in the same process: for small shops.")
    ] = False,
) -> None:
    """Serve HTTP until SIGTERM or SIGINT: orders and every other command, read models, live streams. It listens on
    OMS_HTTP_HOST and OMS_HTTP_PORT; the console for people is at /console."""
    settings = set_up("info")
    collect_seldom()
    with database(settings, "engine" if with_engine else "reader") as place, ExitStack() as stack:
        if place.alone:
            migrated(place.url, settings)
        runtime = Runtime(place.url, simulated=False, treatments=treatments_of(settings), answers_soon=True)
        parts = stack.enter_context(opened(runtime))
        host = host_of(settings, place)
        listener = listening(host, settings.http_port)
        engine = stack.enter_context(running_beside(settings, place)) if with_engine else None
        services = Services(
            parts,
            settings.http_rate_per_second,
            engine.health().ready if engine else lambda: (),
            tokens := tokens_of(settings),
            logins_of(settings, tokens),
            interests_of(settings),
            openers_of(settings),
            settings.what_if_events_max,
        )
        stack.callback(services.close)
        shown = f"[{host}]" if ":" in host else host
        serve(
            services,
            listener,
            lambda port: say(
                f"serving {place.place}: console at http://{shown}:{port}/{console.PATH}, "
                f"API at http://{shown}:{port}/docs"
            ),
            {console.PATH: console.Console(services)},
        )


def tokens_of(settings: Settings) -> Tokens | None:
    if not settings.issuers:
        return None
    claims = settings.oidc_scopes_claim, settings.oidc_channels_claim
    return Tokens(settings.issuers, settings.oidc_audience, *claims)


def logins_of(settings: Settings, tokens: Tokens | None) -> Logins | None:
    if tokens is None or not settings.oidc_client_id:
        return None
    secret = settings.oidc_client_secret and settings.oidc_client_secret.get_secret_value()
    return Logins(tokens, settings.login_issuer, settings.oidc_client_id, secret or None, settings.oidc_login_scope)


def host_of(settings: Settings, place: Database) -> str:
    """Return the host to listen on: without keys and issuers, this machine only."""
    if settings.issuers:
        return settings.http_host
    with connected(place) as connection:
        if api_keys.is_any_made(connection):
            return settings.http_host
    say(LOCAL_ONLY)
    return "127.0.0.1"


@contextmanager
def running_beside(settings: Settings, place: Database) -> Iterator[Engine]:
    """Run the engine's loop in a thread as long as the context lasts."""
    stopping = Event()
    engine = Engine(
        place.url,
        cache_bytes_max=settings.cache_bytes_max,
        **external(settings),
        batch_max=settings.batch_max,
        poll_seconds=settings.poll_seconds,
        log_key=log_key_of(settings),
        beside=participants(settings),
    )
    with ending_within(stopping, ENDING_SECONDS), opened(engine):
        engine.require_the_log()
        thread = Thread(target=engine.loop.run, args=[stopping], name="engine", daemon=True)
        thread.start()
        try:
            yield engine
        finally:
            stopping.set()
            thread.join()


@contextmanager
def connected(place: Database) -> Iterator[queries.Connection]:
    with psycopg.connect(place.url, row_factory=dict_row, autocommit=True) as connection:
        schema.require(connection, PROJECTIONS)
        yield connection


@contextmanager
def connection() -> Iterator[queries.Connection]:
    with database(set_up(), "reader") as place, connected(place) as opened_connection:
        yield opened_connection


def link_order(
    order: OrderName,
    *,
    days: Annotated[int, typer.Option(min=1, max=links.DAYS_MAX, help="Days until the link expires.")] = links.DAYS,
    base: Annotated[str, typer.Option(metavar="URL", help="The address at which customers reach the server.")] = "",
    json: Json = False,
) -> None:
    """A link for the customer to the order's status, without a name, an address or money."""
    now = datetime.now(UTC)
    until = links.until_in(days, now)
    with connection() as writing:
        found = order_named(writing, order)
        path = f"/s/{links.token_of(link_keys.current(writing, now), found['order_id'], until)}"
    if json:
        print_json({"order_id": found["order_id"], "path": path, "url": f"{base.rstrip('/')}{path}", "until": until})
    else:
        typer.echo(f"{base.rstrip('/')}{path}")


@keys_app.command("revoke-links")
def revoke_links() -> None:
    """Revoke every link that customers have, for ever; links that are made from now on are valid."""
    with connection() as writing:
        count = link_keys.revoke_all(writing, datetime.now(UTC))
    say("every link is revoked" if count else "no link was ever given")


@keys_app.command("create")
def create_key(
    label: Annotated[str, typer.Argument(help="Whom or what the key is for.")],
    *,
    role: Annotated[list[str] | None, typer.Option(help=f"The key's rights as a role: {', '.join(ROLES)}.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="A scope of the key; may be repeated.")] = None,
    channel: Annotated[
        list[str] | None, typer.Option(help="Limit the key to this channel; may be repeated; '*' is every channel.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, max=3_650, help="Days until the key expires.")] = None,
    json: Json = False,
) -> None:
    """Make a key. The key is shown once: only its hash is stored."""
    for one in role or ():
        if one not in ROLES:
            raise typer.BadParameter(f"there is no role {one!r}{nearest(one, ROLES)}; there are {', '.join(ROLES)}")
    for one in scope or ():
        if one not in SCOPES:
            raise typer.BadParameter(f"there is no scope {one!r}{nearest(one, SCOPES)}; there are {', '.join(SCOPES)}")
    scopes = sorted({*(scope or ()), *(one for name in role or () for one in ROLES[name])})
    if not scopes:
        raise typer.BadParameter(f"say what it may with --role or --scope; roles are {', '.join(ROLES)}")
    if not 0 < len(label) <= api_keys.LABEL_LENGTH_MAX or not label.isprintable():
        raise typer.BadParameter(f"a label is of 1 to {api_keys.LABEL_LENGTH_MAX} printable characters")
    try:
        channels = channels_of(role or (), channel or ())
    except ValueError as error:
        raise typer.BadParameter(f"--channel: {error}") from None
    now = datetime.now(UTC)
    expires_at = now + timedelta(days=days) if days else None
    with connection() as writing:
        made = api_keys.create(
            writing, label=label, scopes=scopes, channels=channels, expires_at=expires_at, now=now, created_by=who()
        )
    show(made, json=json)


@keys_app.command("list")
def list_keys(*, json: Json = False) -> None:
    """Keys, the newest first, including those that are no longer valid."""
    with connection() as reading:
        keys = api_keys.listed(reading)
    columns: Mapping[str, Callable[[api_keys.ApiKey], Any]] = {
        "key": lambda key: key.key_id,
        "for": lambda key: key.label,
        "may": lambda key: " ".join(key.scopes),
        "channels": lambda key: "all" if key.channels is None else " ".join(key.channels),
        "made (UTC)": lambda key: display.moment(key.created_at),
        "until": lambda key: display.moment(key.expires_at) if key.expires_at else "",
        "revoked": lambda key: display.moment(key.revoked_at) if key.revoked_at else "",
    }
    if json:
        print_json([key.shown() for key in keys])
    else:
        show_list("Keys", keys, columns, f"no key was made yet: {LOCAL_ONLY}", json=False)


@keys_app.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(metavar="KEY", help="The key's id.")]) -> None:
    """Revoke a key for ever; servers refuse it within seconds."""
    with connection() as writing:
        if api_keys.revoke(writing, key_id, datetime.now(UTC)) is None:
            raise NotFound(f"there is no key {key_id}; `oms-es keys list` names them")
    say(f"key {key_id} is revoked")


@keys_app.command("rotate")
def rotate_key(
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="The key's id.")],
    *,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=720, help="Hours for which the previous secret stays valid.")
    ] = OVERLAP_HOURS,
    json: Json = False,
) -> None:
    """Give a key a new secret, which is shown once."""
    now = datetime.now(UTC)
    with connection() as writing:
        made = api_keys.rotate(writing, key_id, now + timedelta(hours=overlap_hours), now)
    if made is None:
        raise NotFound(f"there is no key {key_id} that is good; `oms-es keys list` names them")
    show(made, json=json)


@keys_app.command("sessions")
def list_sessions(*, json: Json = False) -> None:
    """List who is signed in to the console, those who used it last first."""
    with connection() as reading:
        found = sessions.listed(reading, datetime.now(UTC))
    columns: Mapping[str, Callable[[sessions.OpenSession], Any]] = {
        "session": lambda one: one.session_id,
        "who": lambda one: one.actor,
        "signed in (UTC)": lambda one: display.moment(one.opened_at),
        "used last (UTC)": lambda one: display.moment(one.used_at),
    }
    if json:
        print_json([one._asdict() for one in found])
    else:
        show_list("Sessions", found, columns, "no one is signed in to the console", json=False)


@keys_app.command("end-sessions")
def end_sessions(
    actor: Annotated[
        str, typer.Argument(metavar="WHO", help="A key or a person, as `oms-es keys sessions` names them.")
    ],
) -> None:
    """End all sessions of a key or a person in the console at once."""
    with connection() as writing:
        ended = sessions.end_of(writing, actor)
    if not ended:
        raise NotFound(f"{actor} is not signed in; `oms-es keys sessions` names those who are")
    say(f"{ended} session{'s' if ended > 1 else ''} of {actor} ended")


def show(made: api_keys.Made, *, json: bool) -> None:
    if json:
        print_json({**made.key.shown(), "token": made.token})
        return
    typer.echo(made.token)
    say(f"key {made.key.key_id} for {made.key.label}; it is shown this once: send it as Authorization: Bearer")
