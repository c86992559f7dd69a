"""Connections: who sends webhooks here, in whose words, and under which secret."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from oms_es.kernel import Command, Event
from oms_es.schemas.operations.subscription import OVERLAP_SECONDS, OVERLAP_SECONDS_MAX
from oms_es.schemas.values.types import Channel, Moment, Text
from oms_es.schemas.values.webhooks import PartyName, SecretId

Sender = Literal["shopify", "woocommerce", "stripe", "easypost", "canonical", "wechatpay", "alipay", "kuaidi100"]


class ConnectionCommand(Command):
    name: PartyName

    @property
    def stream(self) -> str:
        return f"connection-{self.name}"


class OpenConnection(ConnectionCommand):
    """Let a sender send webhooks, signed with a secret that is kept already.

    `channel`: whose orders it brings; none where the messages name it themselves, or name none.
    """

    dialect: Sender
    channel: Channel | None = None
    secret_id: SecretId


class RotateConnection(ConnectionCommand):
    """Expect another secret; the one before is good for a while."""

    secret_id: SecretId
    now: Moment
    overlap_seconds: Annotated[int, Field(ge=0, le=OVERLAP_SECONDS_MAX)] = OVERLAP_SECONDS


class DisableConnection(ConnectionCommand):
    """Hear nothing more of it at once; its sender gets 401."""

    because: Text = ""


class EnableConnection(ConnectionCommand):
    """Hear it again."""


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
