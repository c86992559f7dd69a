"""Encryption of events that were stored in the clear: which ones were written again, and what they had been.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oms_es.kernel import Event, Message, MigrationCommand
from oms_es.schemas.finance.statement import at_most
from oms_es.schemas.shipment.base import Sha256
from oms_es.schemas.values.types import COUNT_MAX

ENCRYPTED_MAX = 500
"""How many events one record names."""
STREAM = "encryption-log"
"""The one stream of these records."""
Position = Annotated[int, Field(ge=0, le=COUNT_MAX)]


class EncryptedEvent(Message):
    """An event that was written again. `before` and `after`: the SHA-256 of its stored bytes; the first is the sealed
    one.
    """

    position: Position
    before: Sha256
    after: Sha256


class EncryptionCommand(MigrationCommand):
    @property
    def stream(self) -> str:
        return STREAM


class RecordEncryption(EncryptionCommand):
    """Record that events beyond `previous`, up to `reached`, were written again with what is personal encrypted.

    `through`: where the log ended when encryption began; what came later was encrypted from the beginning.
    `checkpoint`: the newest signed checkpoint at that time, which covers all of these events as they were.
    """

    previous: Position
    reached: Position
    through: Position
    events: Annotated[tuple[EncryptedEvent, ...], at_most(ENCRYPTED_MAX)]
    checkpoint: str


class EncryptionEvent(Event):
    pass


class EventsEncrypted(EncryptionEvent):
    """What is personal in these events was encrypted where it stood. Nothing else of them has changed."""

    previous: int
    reached: int
    through: int
    events: tuple[EncryptedEvent, ...]
    checkpoint: str
