"""A receiver of webhooks about orders.

Invariant: it is disabled once until it is enabled; events name secrets by id only.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from oms_es.kernel import Decider, Refused
from oms_es.schemas.operations import subscription as s
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
    disabled: s.SubscriptionDisabled | None = None
    rounds: int = 0


def evolve(state: Subscription, event: s.SubscriptionEvent) -> Subscription:
    """Never refuse an event: an old stream must load under new rules."""
    match event:
        case s.SubscriptionOpened() | s.SubscriptionChanged():
            return state._replace(**event.model_dump())
        case s.SubscriptionRotated():
            return state._replace(**event.model_dump())
        case s.SubscriptionDisabled():
            return state._replace(disabled=event)
        case s.SubscriptionEnabled():
            return state._replace(disabled=None, rounds=state.rounds + 1)
    return state


def decide(state: Subscription, command: s.SubscriptionCommand) -> Iterator[s.SubscriptionEvent]:
    """Yield nothing if the command is already satisfied, so that retries are free."""
    if isinstance(command, s.OpenSubscription):
        yield from _open(state, command)
        return
    if not state.name:
        raise Refused(SharedRefusal.UNKNOWN_SUBSCRIPTION, f"there is no subscription {command.name}; open it first")
    match command:
        case s.ChangeSubscription():
            changed = s.SubscriptionChanged(**command.model_dump())
            if (changed.url, changed.types, changed.channels) != (state.url, state.types, state.channels):
                yield changed
        case s.RotateSubscription(secret_id=secret_id) if secret_id != state.secret_id:
            until = command.now + timedelta(seconds=command.overlap_seconds)
            before = state.secret_id
            yield s.SubscriptionRotated(
                name=state.name, secret_id=secret_id, previous_secret_id=before, previous_until=until
            )
        case s.DisableSubscription() if not state.disabled:
            yield s.SubscriptionDisabled(**command.model_dump())
        case s.EnableSubscription() if state.disabled:
            yield s.SubscriptionEnabled(name=state.name)


def _open(state: Subscription, command: s.OpenSubscription) -> Iterator[s.SubscriptionEvent]:
    if not state.name:
        yield s.SubscriptionOpened(**command.model_dump())
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
        s.OpenSubscription,
        s.ChangeSubscription,
        s.RotateSubscription,
        s.DisableSubscription,
        s.EnableSubscription,
    ),
    emits=(
        s.SubscriptionOpened,
        s.SubscriptionChanged,
        s.SubscriptionRotated,
        s.SubscriptionDisabled,
        s.SubscriptionEnabled,
    ),
)
