"""An encrypted event of an older schema version is published as today's: upcast as it was said, encrypted again."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import Field

from oms_es.kafka.client import Message, Outgoing, TopicPartition
from oms_es.kafka.cloudevents import CloudEventsCodec
from oms_es.kernel import Event
from oms_es.schemas.upcasters import Upcasters
from oms_es.schemas.values.personal import PERSONAL
from oms_es.simulation.world.broker import given
from oms_es.store.encoding.codec import Cause, Codec
from oms_es.store.privacy.wrapping import NoDataKey
from oms_es.store.recorder import EventRow

PLACE = TopicPartition("oms.order.events.v1", 0)
STREAM = "order-1"


class GuestArrived(Event):
    """Version 1 had both names in one field."""

    order_id: str
    name: Annotated[str, PERSONAL] = ""


class GuestArrivedToday(Event):
    schema_version: ClassVar[int] = 2
    order_id: str
    first: Annotated[str, PERSONAL] = ""
    last: Annotated[str, PERSONAL] = ""
    names: Annotated[int, Field(ge=0)] = 0


def in_two(body: dict[str, Any]) -> dict[str, Any]:
    """Split a name in two, and count its words: a placeholder becomes two placeholders, and a count that is wrong of
    the person."""
    first, _, last = body["name"].partition(" ")
    return {"order_id": body["order_id"], "first": first, "last": last, "names": len(body["name"].split())}


UPCASTERS: Upcasters = {("GuestArrived", 1): in_two}


class OneKey:
    def __init__(self) -> None:
        self.cipher: AESGCM | None = AESGCM(AESGCM.generate_key(256))

    def to_write(self, _transaction: Any, subjects: Collection[str]) -> Mapping[str, AESGCM | None]:
        return dict.fromkeys(subjects, self.cipher)

    def to_read(self, _subject: str) -> AESGCM | None:
        return self.cipher


def published(keys: OneKey, *, without_key: bool = False) -> Outgoing:
    before = Codec({"GuestArrived": GuestArrived}, keys=keys)
    event = GuestArrived(order_id="1", name="Ada Lovelace")
    recorded = before.envelop(STREAM, 1, event, Cause("test"), datetime(2026, 1, 1, tzinfo=UTC))
    [state] = before.encode_all(None, [recorded])
    assert b"Ada" not in state
    row = EventRow(STREAM, 1, "GuestArrived", state)
    wire = CloudEventsCodec({"GuestArrived": GuestArrivedToday}, UPCASTERS, None if without_key else keys)
    return wire.outgoing(row, 7, PLACE, 0)


def read(sent: Outgoing, keys: OneKey) -> Event:
    """Read as another process would."""
    wire = CloudEventsCodec({"GuestArrived": GuestArrivedToday}, UPCASTERS, keys)
    return wire.recorded(Message(PLACE, 0, sent.key, sent.value, given(sent.headers))).event


def test_it_is_upcast_as_it_was_said_and_encrypted_again() -> None:
    keys = OneKey()
    sent = published(keys)
    assert sent.value is not None
    assert json.loads(sent.value) == {"order_id": "1", "first": "", "last": "", "names": 2}
    assert not any(b"Ada" in value for _, value in sent.headers if value)
    assert read(sent, keys) == GuestArrivedToday(order_id="1", first="Ada", last="Lovelace", names=2)


def test_once_its_key_is_destroyed_it_is_what_the_placeholders_say() -> None:
    keys = OneKey()
    of_before = published(keys)
    keys.cipher = None
    assert read(of_before, keys) == GuestArrivedToday(order_id="1", names=2)
    sent = published(keys)
    assert "ce_encrypted" not in given(sent.headers)
    assert read(sent, keys) == GuestArrivedToday(order_id="1", names=0)


def test_without_the_key_it_is_not_published() -> None:
    with pytest.raises(NoDataKey, match="OMS_DATA_KEY_FILE"):
        published(OneKey(), without_key=True)
