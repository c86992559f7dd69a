"""Subscriptions: the receivers of webhooks about orders and reports, each with its URL and secret."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from oms_es.kernel import Command, Event
from oms_es.schemas import order
from oms_es.schemas.operations.report import ReportReady
from oms_es.schemas.values.types import Channel, Moment, Text
from oms_es.schemas.values.webhooks import PartyName, SecretId, Url

TYPES_MAX = 100
CHANNELS_MAX = 100
OVERLAP_SECONDS = 86_400
OVERLAP_SECONDS_MAX = 30 * 86_400


OF_REPORTS = ReportReady.__name__


def types_there_are() -> list[str]:
    """Return the names of the events of orders, and of the event that a report is ready."""
    found = {one for one in vars(order).values() if isinstance(one, type) and issubclass(one, order.OrderEvent)}
    return sorted((*(one.__name__ for one in found if not one.__subclasses__()), OF_REPORTS))


def _known(name: str) -> str:
    if name not in types_there_are():
        raise ValueError(
            "no event of an order, nor of a report that is ready, is called so; the page on messages lists them"
        )
    return name


OrderEventType = Annotated[str, AfterValidator(_known)]


class SubscriptionCommand(Command):
    name: PartyName

    @property
    def stream(self) -> str:
        return f"subscription-{self.name}"


class SubscriptionFacts(SubscriptionCommand):
    """What a subscription asks for. `channels`: the channels whose orders count; empty for all."""

    url: Url
    types: Annotated[tuple[OrderEventType, ...], Field(min_length=1, max_length=TYPES_MAX)]
    channels: Annotated[tuple[Channel, ...], Field(max_length=CHANNELS_MAX)] = ()


class OpenSubscription(SubscriptionFacts):
    """Send webhooks from now on, signed with a secret that is kept already."""

    secret_id: SecretId


class ChangeSubscription(SubscriptionFacts):
    """Change the events, the channels or the URL of a subscription, from now on."""


class RotateSubscription(SubscriptionCommand):
    """Sign with another secret; for a while the one before signs, too."""

    secret_id: SecretId
    now: Moment
    overlap_seconds: Annotated[int, Field(ge=0, le=OVERLAP_SECONDS_MAX)] = OVERLAP_SECONDS


class DisableSubscription(SubscriptionCommand):
    """Stop sending; the events of the meantime are sent once it is enabled again."""

    because: Annotated[Text, Field(min_length=1)]
    failed: bool = False
    """Whether it is disabled because its receiver failed: then a person is needed."""


class EnableSubscription(SubscriptionCommand):
    """Continue sending where it stopped; the waiting webhooks are due now."""


class SubscriptionEvent(Event):
    name: str


class SubscriptionOpened(SubscriptionEvent):
    url: str
    types: tuple[str, ...]
    channels: tuple[str, ...] = ()
    secret_id: str


class SubscriptionChanged(SubscriptionEvent):
    url: str
    types: tuple[str, ...]
    channels: tuple[str, ...] = ()


class SubscriptionRotated(SubscriptionEvent):
    secret_id: str
    previous_secret_id: str
    previous_until: Moment


class SubscriptionDisabled(SubscriptionEvent):
    because: str
    failed: bool = False


class SubscriptionEnabled(SubscriptionEvent):
    pass
