"""Encodes a stored event as a Kafka message: the event as JSON, its envelope as CloudEvents 1.0 headers (binary mode).

Invariant: what is written here is read back as the same `Recorded`, position and all; `ce_previoussequence` names the
event before it in its own partition, so that a reader can prove that nothing is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from uuid import UUID

from pydantic_core import from_json, to_json

from oms_es.door import STORED
from oms_es.kafka.client import Headers, Message, Outgoing, TopicPartition, partition_of
from oms_es.kernel import Event, Recorded
from oms_es.schemas.topics import EVENT_TOPICS
from oms_es.schemas.upcasters import UPCASTERS, Upcasters, upcast
from oms_es.store.encoding.codec import Codec, StoredRow, opened
from oms_es.store.privacy.subject_keys import SubjectKeys

DECODED_MAX = 20_000
"""Decoded events kept for the other roles of the process."""
TYPES_CACHED_MAX = 1_000
Header = tuple[str, bytes]
CONSTANT_HEADERS: list[Header] = [("ce_specversion", b"1.0"), ("content-type", b"application/json")]


def partition_for_stream(stream: str, partitions: Mapping[str, int]) -> TopicPartition:
    """The partition of a stream, which is its key. Raises KeyError for a stream that is not published."""
    topic = EVENT_TOPICS[stream.partition("-")[0]]
    return TopicPartition(topic, partition_of(stream.encode(), partitions[topic]))


class CloudEventsCodec:
    """Both directions. An event of an older schema version is published as today's."""

    def __init__(
        self, events: Mapping[str, type[Event]], upcasters: Upcasters = UPCASTERS, keys: SubjectKeys | None = None
    ) -> None:
        self.events = events
        self.upcasters = upcasters
        self.stored = Codec(events, upcasters, keys)
        self._decoded: dict[int, Recorded] = {}  # several roles of one process read the same topics

    def outgoing(self, row: StoredRow, position: int, topic_partition: TopicPartition, previous: int) -> Outgoing:
        """`previous`: the position of the event before it in the same partition; 0 for the first. Raises NoDataKey."""
        stream, (event, envelope) = str(row.originator_id), opened(row.state)
        key = stream.encode()
        current = self.events[row.topic].schema_version
        event_id, caused_by = envelope["event_id"], envelope["caused_by"]
        correlation, trace = _trace(envelope["correlation_id"])
        headers = [
            *_headers_of_type(row.topic, current, stream.partition("-")[0]),
            ("ce_id", event_id.encode()),
            ("ce_subject", key),
            ("ce_time", envelope["recorded_at"].encode()),
            ("ce_sequence", sequence(position)),
            ("ce_previoussequence", sequence(previous)),
            ("ce_streamversion", b"%d" % row.originator_version),
            ("ce_partitionkey", key),
            correlation,
            ("ce_actor", envelope["actor"].encode()),
            ("traceparent", f"{trace}{event_id.replace('-', '')[-16:]}-01".encode()),
        ]
        if caused_by is not None:
            headers.append(("ce_causationid", caused_by.encode()))
        encrypted = envelope.get("encrypted")
        if envelope["schema_version"] != current:
            if encrypted:
                event, encrypted = self.stored.upcast_encrypted(row.topic, event, envelope)
            else:
                event = to_json(self._upcast(row.topic, envelope["schema_version"], event, current))
        if encrypted:
            headers.append(("ce_encrypted", encrypted.encode()))
        return Outgoing(topic_partition, key, event, headers)

    def recorded(self, message: Message) -> Recorded:
        """Raises KeyError or ValueError for a message that is not ours."""
        headers = message.headers
        known = self._decoded.get(int(headers["ce_sequence"]))
        if known is None:
            known = self._decode(message)
            self._decoded[known.position] = known
            if len(self._decoded) > DECODED_MAX:
                del self._decoded[next(iter(self._decoded))]
        return known

    def _decode(self, message: Message) -> Recorded:
        headers, key = message.headers, message.key
        if key is None or message.value is None:
            raise ValueError(f"{message.topic_partition} at {message.offset}: an event has a key and a value")
        caused_by = headers.get("ce_causationid")
        return Recorded(
            position=int(headers["ce_sequence"]),
            stream=key.decode(),
            version=int(headers["ce_streamversion"]),
            event=self._event(headers, self._in_the_clear(headers, message.value)),
            event_id=UUID(headers["ce_id"].decode()),
            recorded_at=datetime.fromisoformat(headers["ce_time"].decode()),
            caused_by=None if caused_by is None else UUID(caused_by.decode()),
            correlation_id=headers["ce_correlationid"].decode(),
            actor=headers["ce_actor"].decode(),
        )

    def _in_the_clear(self, headers: Headers, event: bytes) -> bytes:
        """Raises NoDataKey."""
        encrypted = headers.get("ce_encrypted")
        if encrypted is None:
            return event
        of = {"event_id": headers["ce_id"].decode(), "correlation_id": headers["ce_correlationid"].decode()}
        return self.stored.event_in_the_clear(event, encrypted.decode(), of)

    def _event(self, headers: Headers, value: bytes) -> Event:
        name, version = headers["ce_type"].decode(), int(headers["ce_schemaversion"])
        shape = self.events[name]
        if version == shape.schema_version:
            return shape.model_validate_json(value, context=STORED)
        return shape.model_validate(self._upcast(name, version, value, shape.schema_version), context=STORED)

    def _upcast(self, name: str, version: int, event: bytes, current: int) -> Any:
        return upcast(name, version, from_json(event), upcasters=self.upcasters, current=current)


@lru_cache(maxsize=TYPES_CACHED_MAX)
def _headers_of_type(name: str, version: int, category: str) -> tuple[Header, ...]:
    """What every event of one kind says of itself; building it each time was a third of the relay's own time."""
    return (
        *CONSTANT_HEADERS,
        ("ce_type", name.encode()),
        ("ce_source", f"/oms-es/{category}".encode()),
        ("ce_schemaversion", str(version).encode()),
    )


@lru_cache(maxsize=DECODED_MAX)
def _trace(correlation_id: str) -> tuple[Header, str]:
    """W3C Trace Context: the trace is the order's, the span is the event's."""
    trace = blake2b(correlation_id.encode(), digest_size=16).hexdigest()
    return ("ce_correlationid", correlation_id.encode()), f"00-{trace}-"


def sequence(position: int) -> bytes:
    return b"%020d" % position  # as many digits as the greatest position can have


def position_of(message: Message) -> tuple[int, int]:
    """Where the event stands in the log, and where the one before it in its partition does."""
    return int(message.headers["ce_sequence"]), int(message.headers["ce_previoussequence"])
