"""Webhooks out in the terminal: who is told what becomes of orders and what was delivered."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from oms_es import rendering as display
from oms_es.aggregates.order import decider as order
from oms_es.channels.signatures import STANDARD_PREFIX
from oms_es.cli.connections import NameTaken, require_name
from oms_es.cli.serving import OVERLAP_HOURS, connection
from oms_es.cli.terminal import Json, nearest, print_json, say, who
from oms_es.errors import NotFound
from oms_es.gateways.webhooks import target_of
from oms_es.store import subscriptions
from oms_es.store.webhook_secrets import generated

subscriptions_app = typer.Typer(help="Who is sent webhooks of what becomes of orders.", no_args_is_help=True)
deliveries_app = typer.Typer(help="What was sent to subscriptions, and what still waits.", no_args_is_help=True)
TYPES = tuple(sorted(event.__name__ for event in order.decider.emits))
Name = Annotated[str, typer.Argument(metavar="SUBSCRIPTION", help="Its name.")]


@subscriptions_app.command("create")
def create_subscription(
    name: Name,
    url: Annotated[str, typer.Argument(help="Where to, https://…")],
    *,
    type_: Annotated[list[str], typer.Option("--type", help="Events of this type, as OrderShipped; may be repeated.")],
    channel: Annotated[list[str] | None, typer.Option(help="Only of this channel; may be repeated.")] = None,
    json: Json = False,
) -> None:
    """Send webhooks from now on. The secret that signs them is shown once."""
    require_name(name)
    for one in type_:
        if one not in TYPES:
            raise typer.BadParameter(f"no event of an order is called {one!r}{nearest(one, TYPES)}")
    target_of(url)
    secret = generated(STANDARD_PREFIX)
    with connection() as writing:
        made = subscriptions.create(
            writing,
            name=name,
            url=url,
            types=sorted(set(type_)),
            channels=channel,
            secret=secret,
            now=datetime.now(UTC),
            created_by=who(),
        )
    if made is None:
        raise NameTaken(f"there is a subscription {name} already; take another name")
    _show(made, secret, json=json)


@subscriptions_app.command("list")
def list_subscriptions(*, json: Json = False) -> None:
    """Subscriptions by name, also those that are disabled, and why; never a secret."""
    with connection() as reading:
        found = subscriptions.listed(reading)
        waiting = {one.name: subscriptions.pending(reading, one.name) for one in found}
    if json:
        print_json([{**one.shown(), "waiting": waiting[one.name]} for one in found])
    elif found:
        rows = [
            (
                one.name,
                one.url,
                " ".join(one.types),
                "all" if one.channels is None else " ".join(one.channels),
                str(waiting[one.name]),
                one.disabled_because if one.disabled_at else "",
            )
            for one in found
        ]
        titles = ("subscription", "to", "events", "channels", "waiting", "disabled, because")
        display.console_on(sys.stdout).print(display.grid("Subscriptions", rows, *titles))
    else:
        say("nobody is sent webhooks yet: `oms-es subscriptions create`")


@subscriptions_app.command("rotate")
def rotate_subscription(
    name: Name,
    *,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=720, help="The secret before signs, too, for so long.")
    ] = OVERLAP_HOURS,
    json: Json = False,
) -> None:
    """Sign with a new secret, which is shown once."""
    secret = generated(STANDARD_PREFIX)
    with connection() as writing:
        until = datetime.now(UTC) + timedelta(hours=overlap_hours)
        made = subscriptions.rotate(writing, name, secret, until)
    _show(_known(made, name), secret, json=json)


@subscriptions_app.command("disable")
def disable_subscription(name: Name) -> None:
    """Send nothing; what happens meanwhile is sent once it is enabled."""
    with connection() as writing:
        _known(subscriptions.disable(writing, name, datetime.now(UTC), f"disabled by {who()}"), name)
    say(f"subscription {name} is disabled")


@subscriptions_app.command("enable")
def enable_subscription(name: Name) -> None:
    """Go on where it was; what waits is due now."""
    with connection() as writing:
        _known(subscriptions.enable(writing, name, datetime.now(UTC)), name)
    say(f"subscription {name} is enabled")


@deliveries_app.command("list")
def list_deliveries(
    name: Name,
    *,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only what was not delivered.")] = False,
    json: Json = False,
) -> None:
    """Of one subscription, the newest first."""
    with connection() as reading:
        found = subscriptions.deliveries(reading, name, waiting=waiting)
    if json:
        print_json([one._asdict() for one in found])
        return
    rows = [
        (
            str(one.position),
            one.order_id,
            str(one.attempts),
            str(one.last_status or one.last_error),
            display.moment(one.delivered_at) if one.delivered_at else f"due {display.moment(one.due_at)}",
        )
        for one in found
    ]
    titles = ("position", "order", "tries", "last answer", "delivered (UTC)")
    display.console_on(sys.stdout).print(display.grid(f"Deliveries of {name}", rows, *titles))


@deliveries_app.command("send-again")
def send_delivery_again(
    name: Name, position: Annotated[int, typer.Argument(help="As `deliveries list` has it.")]
) -> None:
    """Send one once more, under the same id: also what was delivered."""
    with connection() as writing:
        if not subscriptions.send_again(writing, name, position, datetime.now(UTC)):
            raise NotFound(f"subscription {name} has no delivery {position}; see `oms-es deliveries list {name}`")
    say(f"delivery {position} is due")


def _known(made: subscriptions.Subscription | None, name: str) -> subscriptions.Subscription:
    if made is None:
        raise NotFound(f"there is no subscription {name}; `oms-es subscriptions list` names them")
    return made


def _show(made: subscriptions.Subscription, secret: str, *, json: bool) -> None:
    if json:
        print_json({**made.shown(), "secret": secret})
        return
    typer.echo(secret)
    say(f"subscription {made.name} is sent {', '.join(made.types)}; the secret is shown this once")
