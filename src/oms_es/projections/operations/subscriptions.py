"""Subscriptions: the receivers of webhooks, by name; a row has the id of a secret, never the secret."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, DateTime, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.operations import subscription as sub

table = Table(
    "subscriptions",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("types", ARRAY(Text), nullable=False),
    Column("channels", ARRAY(Text), nullable=False),
    Column("secret_id", Text, nullable=False),
    Column("previous_secret_id", Text, nullable=False),
    Column("previous_until", DateTime(timezone=True)),
    Column("is_disabled", Boolean, nullable=False),
    Column("disabled_because", Text, nullable=False),
    Column("opened_position", BigInteger, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("changed_by", Text, nullable=False),
)
"""`opened_position` is a position of the log; earlier events are not sent."""
projection = Projection(table, fed_by=("subscription-{name}",))


def key_of_subscription(event: sub.SubscriptionEvent) -> Iterable[Key]:
    return ((event.name,),)


def _changed(recorded: Recorded) -> dict[str, Any]:
    return {"changed_at": recorded.recorded_at, "changed_by": recorded.actor}


@projection.on(sub.SubscriptionOpened, keys=key_of_subscription)
def on_subscription_opened(_row: Row | None, event: sub.SubscriptionOpened, recorded: Recorded, _key: Key) -> Row:
    return {
        **event.model_dump(mode="json"),
        "previous_secret_id": "",
        "previous_until": None,
        "is_disabled": False,
        "disabled_because": "",
        "opened_position": recorded.position,
        **_changed(recorded),
    }


@projection.on(sub.SubscriptionChanged, keys=key_of_subscription)
def on_subscription_changed(
    row: Row | None, event: sub.SubscriptionChanged, recorded: Recorded, _key: Key
) -> Row | None:
    return row and {**row, **event.model_dump(mode="json"), **_changed(recorded)}


@projection.on(sub.SubscriptionRotated, keys=key_of_subscription)
def on_subscription_rotated(
    row: Row | None, event: sub.SubscriptionRotated, recorded: Recorded, _key: Key
) -> Row | None:
    return row and {**row, **dict(event), **_changed(recorded)}


@projection.on(sub.SubscriptionDisabled, keys=key_of_subscription)
def on_subscription_disabled(
    row: Row | None, event: sub.SubscriptionDisabled, recorded: Recorded, _key: Key
) -> Row | None:
    return row and {**row, "is_disabled": True, "disabled_because": event.because, **_changed(recorded)}


@projection.on(sub.SubscriptionEnabled, keys=key_of_subscription)
def on_subscription_enabled(
    row: Row | None, _event: sub.SubscriptionEnabled, recorded: Recorded, _key: Key
) -> Row | None:
    return row and {**row, "is_disabled": False, "disabled_because": "", **_changed(recorded)}
