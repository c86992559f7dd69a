"""`oms-es subscription` and `deliveries`: who is sent events of orders as webhooks, and what was delivered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from oms_es import rendering as display
from oms_es.channels.signatures import PRIVATE_PREFIX, STANDARD_PREFIX, public_key_of
from oms_es.cli.connections import give_with_secret
from oms_es.cli.operator.serving import OVERLAP_HOURS, connection
from oms_es.cli.terminal import Json, nearest, print_json, reading, say, set_up, show_list
from oms_es.errors import NotFound
from oms_es.gateways.webhooks import target_of
from oms_es.reports.queries import Row
from oms_es.schemas.operations.subscription import OpenSubscription, RotateSubscription, types_there_are
from oms_es.store.http import subscriptions
from oms_es.store.http.subscriptions import Delivery, DeliveryTables
from oms_es.store.http.webhook_secrets import generated

deliveries_app = typer.Typer(help="Deliveries of webhooks to subscriptions.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="SUBSCRIPTION", help="The subscription's name.")]
Asymmetric = Annotated[bool, typer.Option("--asymmetric", help="Sign with Ed25519 (v1a); the public key is shown.")]


def create_subscription(
    name: Name,
    url: Annotated[str, typer.Argument(help="The receiver's URL, https://…")],
    *,
    type_: Annotated[
        list[str], typer.Option("--type", help="Send events of this type, such as OrderShipped; may be repeated.")
    ],
    channel: Annotated[
        list[str] | None, typer.Option(help="Send events of orders of this channel only; may be repeated.")
    ] = None,
    asymmetric: Asymmetric = False,
    json: Json = False,
) -> None:
    """Send webhooks from now on. The secret that signs them is shown once."""
    known = types_there_are()
    for one in type_:
        if one not in known:
            raise typer.BadParameter(f"no event of an order is called {one!r}{nearest(one, known)}")
    target_of(url)
    facts = {"name": name, "url": url, "types": tuple(sorted(set(type_))), "channels": tuple(channel or ())}
    secret = _secret(asymmetric=asymmetric)
    give_with_secret(secret, lambda secret_id: OpenSubscription.model_validate({**facts, "secret_id": secret_id}))
    _show(name, secret, json=json)


def list_subscriptions(*, json: Json = False) -> None:
    """Subscriptions by name, including disabled ones with the reason; never a secret."""
    with reading(set_up()) as rows:
        found = rows.execute("SELECT * FROM subscriptions ORDER BY name LIMIT 1000").fetchall()
        listed = [{**one, "waiting": DeliveryTables(rows).pending(one["name"])} for one in found]
    columns: Mapping[str, Callable[[Row], Any]] = {
        "subscription": lambda one: one["name"],
        "to": lambda one: one["url"],
        "events": lambda one: " ".join(one["types"]),
        "channels": lambda one: " ".join(one["channels"]) or "all",
        "waiting": lambda one: str(one["waiting"]),
        "disabled, because": lambda one: one["disabled_because"],
    }
    show_list("Subscriptions", listed, columns, "no subscription yet: `oms-es subscriptions create`", json=json)


def rotate_subscription(
    name: Name,
    *,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=720, help="Hours for which the previous secret signs, too.")
    ] = OVERLAP_HOURS,
    asymmetric: Asymmetric = False,
    json: Json = False,
) -> None:
    """Sign with a new secret, which is shown once."""
    secret = _secret(asymmetric=asymmetric)
    overlap = {"now": datetime.now(UTC), "overlap_seconds": int(overlap_hours * 3600)}
    give_with_secret(secret, lambda secret_id: RotateSubscription(name=name, secret_id=secret_id, **overlap))
    _show(name, secret, json=json)


@deliveries_app.command("list")
def list_deliveries(
    name: Name,
    *,
    waiting: Annotated[bool, typer.Option("--waiting", help="List only deliveries that still wait.")] = False,
    json: Json = False,
) -> None:
    """Deliveries of one subscription, the newest first."""
    with connection() as rows:
        found = subscriptions.deliveries(rows, name, waiting=waiting)
    columns: Mapping[str, Callable[[Delivery], Any]] = {
        "position": lambda one: str(one.position),
        "order": lambda one: one.order_id,
        "tries": lambda one: str(one.attempts),
        "last answer": lambda one: str(one.last_status or one.last_error),
        "delivered (UTC)": lambda one: (
            display.moment(one.delivered_at) if one.delivered_at else f"due {display.moment(one.due_at)}"
        ),
    }
    show_list(f"Deliveries of {name}", found, columns, f"nothing was sent to {name} yet", json=json)


@deliveries_app.command("send-again")
def send_delivery_again(
    name: Name, position: Annotated[int, typer.Argument(help="The delivery's position, as `deliveries list` shows it.")]
) -> None:
    """Send a delivery again under the same id, also one that was delivered."""
    with connection() as rows:
        if not subscriptions.send_again(rows, name, position, datetime.now(UTC)):
            raise NotFound(f"subscription {name} has no delivery {position}; see `oms-es deliveries list {name}`")
    say(f"delivery {position} is due")


def _secret(*, asymmetric: bool) -> str:
    return generated(PRIVATE_PREFIX if asymmetric else STANDARD_PREFIX)


def _show(name: str, secret: str, *, json: bool) -> None:
    """Print the secret; of a pair of keys only the public key, with which receivers verify webhooks."""
    shown = public_key_of(secret) if secret.startswith(PRIVATE_PREFIX) else secret
    if json:
        print_json({"name": name, "secret": shown})
        return
    typer.echo(shown)
    say(f"subscription {name}: this verifies what is sent, and is shown this once")
