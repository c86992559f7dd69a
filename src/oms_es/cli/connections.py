"""`oms-es connections`: systems that send webhooks to this server, and the secrets that verify them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from oms_es import rendering as display
from oms_es.channels.senders import SENDERS
from oms_es.channels.signatures import PUBLIC_PREFIX, STANDARD_PREFIX, BadSignature, public_key_in, standard_key
from oms_es.cli.operator.serving import OVERLAP_HOURS
from oms_es.cli.terminal import Json, nearest, print_json, reading, say, set_up, show_list, who, writing
from oms_es.database.rows import connected
from oms_es.errors import NotFound
from oms_es.kernel import Command
from oms_es.reports.queries import Row
from oms_es.schemas.operations.connection import OpenConnection, RotateConnection
from oms_es.store.encoding.codec import Cause
from oms_es.store.http import webhook_secrets
from oms_es.store.http.webhook_secrets import SECRET_LENGTH_MAX, generated

Name = Annotated[
    str, typer.Argument(metavar="CONNECTION", help="The connection's name, as in /v1/webhooks/CONNECTION.")
]
Overlap = Annotated[float, typer.Option(min=0, max=720, help="Hours for which the previous secret stays valid.")]
Stdin = Annotated[
    bool, typer.Option("--secret-stdin", help="Read the secret from standard input; otherwise one is made.")
]


def create_connection(
    name: Name,
    *,
    dialect: Annotated[str, typer.Option(help=f"The sender of the webhooks: {', '.join(SENDERS)}.")],
    channel: Annotated[
        str | None, typer.Option(help="The channel of its orders; required for WooCommerce, and a limit for canonical.")
    ] = None,
    secret_stdin: Stdin = False,
    json: Json = False,
) -> None:
    """Open a connection, so that its sender may send webhooks. A secret that is made here is shown once."""
    if dialect not in SENDERS:
        known = ", ".join(SENDERS)
        raise typer.BadParameter(f"there is no dialect {dialect!r}{nearest(dialect, SENDERS)}; there are {known}")
    secret = _secret(dialect, from_stdin=secret_stdin)
    give_with_secret(
        secret,
        lambda secret_id: OpenConnection.model_validate(
            {"name": name, "dialect": dialect, "channel": channel, "secret_id": secret_id}
        ),
    )
    _show(name, None if secret_stdin else secret, json=json)


def list_connections(*, json: Json = False) -> None:
    """Connections by name, including disabled ones; never a secret."""
    with reading(set_up()) as connection:
        found = connection.execute("SELECT * FROM connections ORDER BY name LIMIT 1000").fetchall()
    columns: Mapping[str, Callable[[Row], Any]] = {
        "connection": lambda one: one["name"],
        "dialect": lambda one: one["dialect"],
        "channel": lambda one: one["channel"] or "",
        "secret": lambda one: one["secret_id"],
        "previous valid until (UTC)": lambda one: moment_or_nothing(one["previous_until"]),
        "disabled": lambda one: "disabled" if one["is_disabled"] else "",
    }
    show_list("Connections", found, columns, "no connection yet: `oms-es connections create`", json=json)


def rotate_connection(
    name: Name, *, secret_stdin: Stdin = False, overlap_hours: Overlap = OVERLAP_HOURS, json: Json = False
) -> None:
    """Give a connection another secret; the previous one stays valid for a while."""
    with reading(set_up()) as connection:
        row = connection.execute("SELECT dialect FROM connections WHERE name = %s", [name]).fetchone()
    if row is None:
        raise NotFound(f"there is no connection {name}; `oms-es connections list` names them")
    secret = _secret(row["dialect"], from_stdin=secret_stdin)
    overlap = {"now": datetime.now(UTC), "overlap_seconds": int(overlap_hours * 3600)}
    give_with_secret(secret, lambda secret_id: RotateConnection(name=name, secret_id=secret_id, **overlap))
    _show(name, None if secret_stdin else secret, json=json)


def give_with_secret(secret: str, command: Callable[[str], Command]) -> None:
    """Store the secret, then give the command that names it. Raise Refused.

    The secret is stored first: if the process is killed in between, a secret remains that nothing refers to.
    """
    command("sec_" + "0" * 24)  # an invalid command is refused before the secret is stored
    with writing(set_up()) as engine:
        with connected(engine.database_url) as rows:
            secret_id = webhook_secrets.keep(rows, secret, datetime.now(UTC), who())
        engine.append([(Cause(who()), [command(secret_id)])])


def moment_or_nothing(moment: datetime | None) -> str:
    return display.moment(moment) if moment else ""


def _secret(dialect: str, *, from_stdin: bool) -> str:
    """Return a new secret, or the line on stdin without its end."""
    if not from_stdin:
        if SENDERS[dialect].makes_secrets:
            raise typer.BadParameter(f"{dialect} makes the secret: give it with --secret-stdin")
        return generated(STANDARD_PREFIX if dialect == "canonical" else "")
    secret = sys.stdin.readline(SECRET_LENGTH_MAX + 2).rstrip("\r\n")
    if not 0 < len(secret) <= SECRET_LENGTH_MAX or not secret.isprintable():
        raise typer.BadParameter(f"a secret is one line of 1 to {SECRET_LENGTH_MAX} printable characters")
    if dialect == "canonical":
        try:
            (public_key_in if secret.startswith(PUBLIC_PREFIX) else standard_key)(secret)
        except BadSignature:
            raise typer.BadParameter(
                f"a secret of Standard Webhooks is {STANDARD_PREFIX} or {PUBLIC_PREFIX} and base64"
            ) from None
    return secret


def _show(name: str, secret: str | None, *, json: bool) -> None:
    """Print the connection; a secret that its sender made need not be shown."""
    if json:
        print_json({"name": name, **({"secret": secret} if secret else {})})
        return
    if secret:
        typer.echo(secret)
    say(f"{name} receives webhooks at POST /v1/webhooks/{name} of `oms-es serve`: give the sender that URL")
