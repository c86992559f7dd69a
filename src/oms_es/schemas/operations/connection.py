"""Connections: the senders of webhooks to this engine, each with its dialect and secret."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from oms_es.kernel import Command, Event
from oms_es.schemas.operations.subscription import OVERLAP_SECONDS, OVERLAP_SECONDS_MAX
from oms_es.schemas.values.types import Channel, Moment, Text
from oms_es.schemas.values.webhooks import PartyName, SecretId

Sender = Literal[
    "shopify", "woocommerce", "stripe", "easypost", "canonical", "wechatpay", "alipay", "kuaidi100", "sfexpress"
]


class ConnectionCommand(Command):
    name: PartyName

    @property
    def stream(self) -> str:
        return f"connection-{self.name}"


class OpenConnection(ConnectionCommand):
    """Accept webhooks of a sender, signed with a secret that is kept already.

    `channel`: the channel of the orders that it sends; none if the messages name it themselves, or concern none.
    """

    dialect: Sender
    channel: Channel | None = None
    secret_id: SecretId


class RotateConnection(ConnectionCommand):
    """Expect signatures of another secret; the one before is accepted for a while, too."""

    secret_id: SecretId
    now: Moment
    overlap_seconds: Annotated[int, Field(ge=0, le=OVERLAP_SECONDS_MAX)] = OVERLAP_SECONDS


class DisableConnection(ConnectionCommand):
    """Reject webhooks of this sender from now on; it gets status 401."""

    because: Text = ""


class EnableConnection(ConnectionCommand):
    """Accept webhooks of this sender again."""


class ConnectionEvent(Event):
    name: str


class ConnectionOpened(ConnectionEvent):
    dialect: str
    channel: str | None = None
    secret_id: str


class ConnectionRotated(ConnectionEvent):
    secret_id: str
    previous_secret_id: str
    previous_until: Moment


class ConnectionDisabled(ConnectionEvent):
    because: str = ""


class ConnectionEnabled(ConnectionEvent):
    pass
