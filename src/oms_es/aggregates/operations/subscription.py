"""A receiver of webhooks about orders.

Invariant: it is disabled once until it is enabled; events name secrets by id only.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from oms_es.kernel import Decider, Refused
from oms_es.schemas.operations import subscription as sub
from oms_es.schemas.operations.refusals import OperationsRefusal
from oms_es.schemas.refusals import SharedRefusal


class Subscription(NamedTuple):
    """The state of a subscription. `rounds` counts how often it was enabled again."""

    name: str = ""
    url: str = ""
    types: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    secret_id: str = ""
    previous_secret_id: str = ""
    previous_until: datetime | None = None
    disabled: sub.SubscriptionDisabled | None = None
    rounds: int = 0


def evolve(state: Subscription, event: sub.SubscriptionEvent) -> Subscription:
    """Never refuse an event: an old stream must load under new rules."""
    match event:
        case sub.SubscriptionOpened() | sub.SubscriptionChanged():
            return state._replace(**event.model_dump())
        case sub.SubscriptionRotated():
            return state._replace(**event.model_dump())
        case sub.SubscriptionDisabled():
            return state._replace(disabled=event)
        case sub.SubscriptionEnabled():
            return state._replace(disabled=None, rounds=state.rounds + 1)
    return state


def decide(state: Subscription, command: sub.SubscriptionCommand) -> Iterator[sub.SubscriptionEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    if isinstance(command, sub.OpenSubscription):
        yield from _open(state, command)
        return
    if not state.name:
        raise Refused(SharedRefusal.UNKNOWN_SUBSCRIPTION, f"there is no subscription {command.name}; open it first")
    match command:
        case sub.ChangeSubscription():
            changed = sub.SubscriptionChanged(**command.model_dump())
            if (changed.url, changed.types, changed.channels) != (state.url, state.types, state.channels):
                yield changed
        case sub.RotateSubscription(secret_id=secret_id) if secret_id != state.secret_id:
            until = command.now + timedelta(seconds=command.overlap_seconds)
            before = state.secret_id
            yield sub.SubscriptionRotated(
                name=state.name, secret_id=secret_id, previous_secret_id=before, previous_until=until
            )
        case sub.DisableSubscription() if not state.disabled:
            yield sub.SubscriptionDisabled(**command.model_dump())
        case sub.EnableSubscription() if state.disabled:
            yield sub.SubscriptionEnabled(name=state.name)


def _open(state: Subscription, command: sub.OpenSubscription) -> Iterator[sub.SubscriptionEvent]:
    if not state.name:
        yield sub.SubscriptionOpened(**command.model_dump())
    elif state.secret_id != command.secret_id:
        raise Refused(
            OperationsRefusal.SUBSCRIPTION_EXISTS, f"there is a subscription {state.name} already; take another name"
        )


decider: Decider[Any] = Decider(
    "subscription",
    Subscription(),
    evolve,
    decide,
    accepts=(
        sub.OpenSubscription,
        sub.ChangeSubscription,
        sub.RotateSubscription,
        sub.DisableSubscription,
        sub.EnableSubscription,
    ),
    emits=(
        sub.SubscriptionOpened,
        sub.SubscriptionChanged,
        sub.SubscriptionRotated,
        sub.SubscriptionDisabled,
        sub.SubscriptionEnabled,
    ),
)
