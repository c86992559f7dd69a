"""How history is written down: the event as JSON, inside its envelope.

Invariant: what was encoded under any schema version decodes to today's class, by its upcasters; the event id is derived
from the event's place in its stream, so that the same append has the same ids however often it is tried.

With keys, what is personal in an event is encrypted beside it under the key of its order, and placeholders stand in the
event. Once that key is destroyed the event is what the placeholders say.
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from copy import copy
from datetime import datetime
from functools import cache
from hashlib import sha1
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeVar
from uuid import NAMESPACE_URL, UUID, SafeUUID, uuid5

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg import Connection
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from oms_es.door import STORED
from oms_es.kernel import Event, Recorded
from oms_es.proof.encryption import AFTER_EVENT, BEFORE_ENCRYPTED
from oms_es.schemas.upcasters import UPCASTERS, Upcasters, upcast
from oms_es.schemas.values.parts import parts_of, put_back, take_out
from oms_es.store.encoding.shared_names import share_names
from oms_es.store.privacy.subject_keys import SubjectKeys, of_connection
from oms_es.store.privacy.wrapping import HOW, NONCE_BYTES, NoDataKey

E = TypeVar("E", bound=Event)
EVENT_ID_NAMESPACE = uuid5(NAMESPACE_URL, "oms-es/event")
BEFORE_EVENT = b'{"event":'
WHOLE = ""
"""The path under which a whole event is encrypted, as it was written: one that this program would write otherwise."""
NAMESPACE_BYTES = EVENT_ID_NAMESPACE.bytes
UNKNOWN = SafeUUID.unknown  # asking an enumeration for it takes an eighth of the time of an id
VERSION_5 = 5 << 76 | 0x8 << 60
VERSION_MASK = ~(0xF << 76 | 0xC << 60)
"""Where a UUID of 128 bits says which kind it is (RFC 9562, section 4)."""


class StoredRow(Protocol):
    """A row of the log, whichever query it came from."""

    @property
    def originator_id(self) -> UUID | str: ...
    @property
    def originator_version(self) -> int: ...
    @property
    def topic(self) -> str: ...
    @property
    def state(self) -> bytes: ...


class Cause(NamedTuple):
    """Why something is done: the event it follows from, or, from outside, who asked for it."""

    actor: str
    event_id: UUID | None = None
    correlation_id: str | None = None

    @classmethod
    def of(cls, recorded: Recorded, actor: str) -> Cause:
        return cls(actor, recorded.event_id, recorded.correlation_id)


class Stored(BaseModel, Generic[E]):
    """The JSON of a row's `state`. Open: what a newer program adds to the envelope does not stop an older one."""

    event: E
    schema_version: int
    event_id: UUID
    recorded_at: datetime
    caused_by: UUID | None
    correlation_id: str
    actor: str


@cache
def _shape(event: type[Event]) -> type[Stored[Any]]:
    return Stored[event]  # type: ignore[valid-type] # a shape per class is made at run time


class Codec:
    """`keys`: of orders, without which nothing is encrypted and nothing that is can be read."""

    keys: SubjectKeys | None = None

    def __init__(
        self, events: Mapping[str, type[Event]], upcasters: Upcasters = UPCASTERS, keys: SubjectKeys | None = None
    ) -> None:
        self.events = events
        self.upcasters = upcasters
        self.keys = keys

    def over(self, connection: Connection[Any]) -> Self:
        """The same, with the keys that are there."""
        codec = copy(self)
        codec.keys = of_connection(connection)
        return codec

    def envelop(self, stream: str, version: int, event: Event, cause: Cause, recorded_at: datetime) -> Recorded:
        """The event as it will be recorded; its position is known once it is."""
        share_names(event)
        actor, caused_by, correlation_id = cause
        return Recorded(
            0,
            stream,
            version,
            event,
            event_id_of(stream, version),
            recorded_at,
            caused_by,
            event.__dict__.get("order_id") or correlation_id or stream,
            actor,
        )

    def encode(self, recorded: Recorded) -> bytes:
        """Return the event as it is stored without encryption."""
        return to_json(_body(recorded, recorded.event))

    def encode_all(self, transaction: Any, decided: Sequence[Recorded]) -> list[bytes]:
        """Return the events as they are stored. `transaction`: the one in which orders without a key get one."""
        if self.keys is None:
            return [self.encode(recorded) for recorded in decided]
        personal = {recorded.correlation_id for recorded in decided if parts_of(type(recorded.event))}
        ciphers = self.keys.to_write(transaction, personal) if personal else None
        return [self.encode(one) if ciphers is None else self._encoded(one, ciphers) for one in decided]

    def _encoded(self, recorded: Recorded, ciphers: Mapping[str, AESGCM | None]) -> bytes:
        parts = parts_of(type(recorded.event))
        if not parts:
            return self.encode(recorded)
        event = from_json(to_json(recorded.event))
        taken = take_out(event, parts)
        cipher = ciphers[recorded.correlation_id]
        body = _body(recorded, event)
        if taken and cipher:
            body["encrypted"] = encrypted_content(cipher, str(recorded.event_id), to_json(taken))
        return to_json(body)

    def in_the_clear(self, state: bytes) -> bytes:
        """A row's `state` with what is personal, if its key is there; with placeholders if that was destroyed.

        Raises NoDataKey. The name of a key is in no text: there, quotes are escaped.
        """
        at = state.rfind(BEFORE_ENCRYPTED)
        if at < 0 or (end := state.rfind(AFTER_EVENT)) > at:
            return state
        envelope = from_json(b"{" + state[end + 1 :])
        event = self.event_in_the_clear(state[len(BEFORE_EVENT) : end], envelope["encrypted"], envelope)
        return BEFORE_EVENT + event + state[end:at] + b"}"

    def event_in_the_clear(self, event: bytes, encrypted: str, envelope: Mapping[str, Any]) -> bytes:
        """Raises NoDataKey."""
        cipher = self._cipher_of(envelope)
        if cipher is None:
            return event
        taken = from_json(_decrypted(cipher, envelope["event_id"], encrypted))
        if WHOLE in taken:
            return str(taken[WHOLE]).encode()
        body = from_json(event)
        put_back(body, taken)
        return to_json(body)

    def upcast_encrypted(self, name: str, event: bytes, envelope: Mapping[str, Any]) -> tuple[bytes, str | None]:
        """The event in today's version, and what is personal in it, encrypted again: upcasters are given the event as
        it was said. With placeholders where its key was destroyed. Raises NoDataKey."""
        clear = from_json(self.event_in_the_clear(event, envelope["encrypted"], envelope))
        declared = self.events[name]
        current = declared.schema_version
        body = upcast(name, envelope["schema_version"], clear, upcasters=self.upcasters, current=current)
        taken = take_out(body, parts_of(declared))
        cipher = self._cipher_of(envelope) if taken else None
        return to_json(body), encrypted_content(cipher, envelope["event_id"], to_json(taken)) if cipher else None

    def _cipher_of(self, envelope: Mapping[str, Any]) -> AESGCM | None:
        """Raises NoDataKey."""
        if self.keys is None:
            raise NoDataKey(f"personal data in this log is encrypted: {HOW}")
        return self.keys.to_read(envelope["correlation_id"])

    def decode(self, row: StoredRow, position: int = 0) -> Recorded:
        """Raises KeyError for an undeclared event, UnknownVersion for one from a newer program, NoDataKey."""
        stored = self._stored(row.topic, self.in_the_clear(row.state))
        share_names(stored.event)
        return Recorded(
            position,
            str(row.originator_id),
            row.originator_version,
            stored.event,
            stored.event_id,
            stored.recorded_at,
            stored.caused_by,
            stored.correlation_id,
            stored.actor,
        )

    def _stored(self, name: str, state: bytes) -> Stored[Any]:
        declared = self.events[name]
        shape, current = _shape(declared), declared.schema_version
        try:
            stored = shape.model_validate_json(state, context=STORED)
        except ValidationError:
            if from_json(state)["schema_version"] == current:
                raise
        else:
            if stored.schema_version == current:
                return stored
        body = from_json(state)
        event = upcast(name, body["schema_version"], body["event"], upcasters=self.upcasters, current=current)
        return shape.model_validate({**body, "event": event, "schema_version": current}, context=STORED)


def _body(recorded: Recorded, event: Any) -> dict[str, Any]:
    return {
        "event": event,
        "schema_version": recorded.event.schema_version,
        "event_id": recorded.event_id,
        "recorded_at": recorded.recorded_at,
        "caused_by": recorded.caused_by,
        "correlation_id": recorded.correlation_id,
        "actor": recorded.actor,
    }


def encrypted_content(cipher: AESGCM, event_id: str, content: bytes) -> str:
    """Return the content encrypted, and bound to its event: it opens in no other."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return b64encode(nonce + cipher.encrypt(nonce, content, event_id.encode())).decode()


def _decrypted(cipher: AESGCM, event_id: str, encrypted: str) -> bytes:
    """Raises NoDataKey."""
    content = b64decode(encrypted)
    try:
        return cipher.decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], event_id.encode())
    except InvalidTag:
        raise NoDataKey(f"what is personal in event {event_id} is not what was written; run `oms-es verify`") from None


def opened(state: bytes) -> tuple[bytes, dict[str, Any]]:
    """The event of a row's `state`, byte for byte, and the envelope around it: publishing an event parses nothing of
    it.

    `encode` puts the schema version right after the event. The name of a key is in no text: there, quotes are escaped.
    """
    end = state.rfind(AFTER_EVENT)
    if end > 0 and state.startswith(BEFORE_EVENT):
        return state[len(BEFORE_EVENT) : end], from_json(b"{" + state[end + 1 :])
    body = from_json(state)
    return to_json(body.pop("event")), body


def event_id_of(stream: str, version: int) -> UUID:
    """The uuid5 of the event's place (RFC 9562, section 5.5), without what the many ways to construct a UUID cost: it
    is made for every event."""
    hashed = sha1(NAMESPACE_BYTES + f"{stream}#{version}".encode(), usedforsecurity=False).digest()
    event_id = UUID.__new__(UUID)
    _SET_INT(event_id, int.from_bytes(hashed[:16]) & VERSION_MASK | VERSION_5)
    _SET_SAFETY(event_id, UNKNOWN)
    return event_id


_SET_INT, _SET_SAFETY = vars(UUID)["int"].__set__, vars(UUID)["is_safe"].__set__
"""A UUID is immutable once it is made, but for its slots."""
