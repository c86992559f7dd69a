"""Connections in the terminal: who sends webhooks here, and under which secrets."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from oms_es import rendering as display
from oms_es.channels.senders import SENDERS
from oms_es.channels.signatures import STANDARD_PREFIX, BadSignature, standard_key
from oms_es.cli.serving import OVERLAP_HOURS, connection
from oms_es.cli.terminal import Json, nearest, print_json, say, who
from oms_es.errors import NotFound, OmsError
from oms_es.exit_codes import Code
from oms_es.store import connections
from oms_es.store.webhook_secrets import generated

connections_app = typer.Typer(help="Who sends webhooks here, and under which secrets.", no_args_is_help=True)
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
Name = Annotated[str, typer.Argument(metavar="CONNECTION", help="Its name, as in /v1/webhooks/CONNECTION.")]
Stdin = Annotated[
    bool, typer.Option("--secret-stdin", help="Read the secret from standard input; without it one is made.")
]


class NameTaken(OmsError):
    """A connection of this name is there already: rotate its secret, or take another name."""

    code = "connection_exists"
    exit_code = Code.USAGE


@connections_app.command("create")
def create_connection(
    name: Name,
    *,
    dialect: Annotated[str, typer.Option(help=f"Whose webhooks they are: {', '.join(SENDERS)}.")],
    channel: Annotated[
        str | None, typer.Option(help="Whose orders it brings: of WooCommerce always needed, of canonical a limit.")
    ] = None,
    secret_stdin: Stdin = False,
    json: Json = False,
) -> None:
    """Let somebody send webhooks. A secret that is made here is shown once."""
    _require_possible(name, dialect, channel)
    secret = _secret(dialect, from_stdin=secret_stdin)
    with connection() as writing:
        made = connections.create(
            writing,
            name=name,
            dialect=dialect,
            channel=channel,
            secret=secret,
            now=datetime.now(UTC),
            created_by=who(),
        )
    if made is None:
        raise NameTaken(f"there is a connection {name} already; `oms-es connections rotate` changes its secret")
    _show(made, None if secret_stdin else secret, json=json)


@connections_app.command("list")
def list_connections(*, json: Json = False) -> None:
    """Connections by name, also those that are not heard; never a secret."""
    with connection() as reading:
        found = connections.listed(reading)
    if json:
        print_json([one.shown() for one in found])
    elif found:
        rows = [
            (
                one.name,
                one.dialect,
                one.channel or "",
                one.shown()["secret_sha256"],
                display.moment(one.previous_until) if one.previous_until else "",
                display.moment(one.disabled_at) if one.disabled_at else "",
            )
            for one in found
        ]
        titles = ("connection", "dialect", "channel", "secret (SHA-256)", "one before until (UTC)", "disabled")
        display.console_on(sys.stdout).print(display.grid("Connections", rows, *titles))
    else:
        say("nobody sends webhooks yet: `oms-es connections create`")


@connections_app.command("rotate")
def rotate_connection(
    name: Name,
    *,
    secret_stdin: Stdin = False,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=720, help="The secret before is good for so long.")
    ] = OVERLAP_HOURS,
    json: Json = False,
) -> None:
    """Give a connection another secret; the one before is good for a while."""
    with connection() as writing:
        known = connections.named(writing, name)
        if known is None:
            raise _unknown(name)
        secret = _secret(known.dialect, from_stdin=secret_stdin)
        until = datetime.now(UTC) + timedelta(hours=overlap_hours)
        made = connections.rotate(writing, name, secret, until)
    _show(made or known, None if secret_stdin else secret, json=json)


@connections_app.command("disable")
def disable_connection(name: Name) -> None:
    """Hear nothing more of it at once; its sender gets 401."""
    _set_disabled(name, datetime.now(UTC))
    say(f"connection {name} is not heard any more")


@connections_app.command("enable")
def enable_connection(name: Name) -> None:
    """Hear it again."""
    _set_disabled(name, None)
    say(f"connection {name} is heard")


def _set_disabled(name: str, at: datetime | None) -> None:
    with connection() as writing:
        if connections.set_disabled(writing, name, at) is None:
            raise _unknown(name)


def _unknown(name: str) -> NotFound:
    return NotFound(f"there is no connection {name}; `oms-es connections list` names them")


def require_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise typer.BadParameter("a name is of up to 64 of a-z, 0-9, dot, underscore and hyphen, and begins with none")


def _require_possible(name: str, dialect: str, channel: str | None) -> None:
    require_name(name)
    if dialect not in SENDERS:
        known = ", ".join(SENDERS)
        raise typer.BadParameter(f"there is no dialect {dialect!r}{nearest(dialect, SENDERS)}; there are {known}")
    if channel is not None and (not SENDERS[dialect].names_channel or not NAME.fullmatch(channel)):
        raise typer.BadParameter(f"--channel {channel!r}: only woocommerce and canonical have one, named as orders do")
    if channel is None and dialect == "woocommerce":
        raise typer.BadParameter("say with --channel whose orders they are: WooCommerce's ids are each shop's own")


def _secret(dialect: str, *, from_stdin: bool) -> str:
    """As it is given, but for the end of its line."""
    if not from_stdin:
        if SENDERS[dialect].makes_secrets:
            raise typer.BadParameter(f"{dialect} makes the secret: give it with --secret-stdin")
        return generated(STANDARD_PREFIX if dialect == "canonical" else "")
    secret = sys.stdin.readline(connections.SECRET_LENGTH_MAX + 2).rstrip("\r\n")
    if not 0 < len(secret) <= connections.SECRET_LENGTH_MAX or not secret.isprintable():
        raise typer.BadParameter(f"a secret is one line of 1 to {connections.SECRET_LENGTH_MAX} printable characters")
    if dialect == "canonical":
        try:
            standard_key(secret)
        except BadSignature:
            raise typer.BadParameter(f"a secret of Standard Webhooks is {STANDARD_PREFIX} and base64") from None
    return secret


def _show(made: connections.Connection, secret: str | None, *, json: bool) -> None:
    """A secret that its sender made is nothing that anybody has to be shown."""
    if json:
        print_json({**made.shown(), **({"secret": secret} if secret else {})})
        return
    if secret:
        typer.echo(secret)
    say(f"connection {made.name} is heard at POST /v1/webhooks/{made.name}")
