"""Publishes what the relay sends besides events: the latest rows of orders and stock, and dead letters.

Invariant: every changed row is published at least once after the change, and the last message of a key is its latest
state. A row of the outbox marks what is still to be published: it is written in the transaction of the change, and
deleted once the broker has acknowledged the message, unless the row has changed again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import psycopg
import structlog
from pydantic_core import from_json, to_json
from sqlalchemy import Column, DateTime, Table

from oms_es.kafka.client import Outgoing, Producer, TooLarge, TopicPartition, partition_of, too_large
from oms_es.kafka.cloudevents import CONSTANT_HEADERS, sequence
from oms_es.kafka.relay.store import RELAY
from oms_es.store.archive.reading import whole
from oms_es.store.dead_letters import DEAD_LETTERS, Header, headers_of
from oms_es.store.encoding.codec import opened
from oms_es.store.outbox import CHANGES, MARK_DIRTY, key_text
from oms_es.store.recorder import EVENTS, TRACKING

PUBLISH_BATCH_MAX = 1_000
"""Rows per publish."""
DETAIL_CHARACTERS_MAX = 1_000
"""Of the detail of a dead letter that is too large to be published whole."""
DIGEST_CHARACTERS = 16
"""Of the SHA-256 of a value, in the id of its message."""
REMOVED = b"removed"
"""Stands for the digest where the row is gone."""
MOMENT = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
"""Of any zone that the session has, in UTC and with the letter: the only way that every reader takes."""
BEGINNING = b"1970-01-01T00:00:00Z"
"""The time of a row that no event explains, as after a change by hand in an empty engine."""
TIME_AT = f"SELECT notification_id, state FROM {EVENTS} WHERE notification_id = ANY(%s)"
TIME_OF_NEWEST = f"""
SELECT state FROM {EVENTS} WHERE notification_id <= (
    SELECT max(notification_id) FROM {TRACKING}
    WHERE application_name = %(name)s OR starts_with(application_name, %(name)s || '@')
) ORDER BY notification_id DESC LIMIT 1"""

log = structlog.get_logger(__name__)


class State(NamedTuple):
    """A read model whose rows are published: each as the value of its key, in a compacted topic."""

    table: Table
    topic: str
    type: str
    description: str

    def message_key(self, key: Sequence[Any]) -> bytes:
        return "@".join(str(part) for part in key).encode()


class StatePublisher:
    """Rows that changed, to the compacted topics; a tombstone where the row is gone."""

    batch_max = PUBLISH_BATCH_MAX

    def __init__(self, producer: Producer, states: Sequence[State]) -> None:
        self.producer = producer
        self.states = {state.table.name: state for state in states}
        self._limit = PUBLISH_BATCH_MAX  # less while something in the next batch is too large
        self._partitions: Mapping[str, int] = {}

    def begin(self, session: psycopg.Connection[Any], _epoch: int) -> None:
        self._partitions = self.producer.partitions([state.topic for state in self.states.values()])
        for name, state in self.states.items():
            with session.transaction():
                self._mark_everything_dirty_once(session, name, state)

    def publish(self, session: psycopg.Connection[Any]) -> int:
        changes = session.execute(
            f"SELECT projection, key, position FROM {CHANGES} WHERE projection = ANY(%s) ORDER BY position LIMIT %s",
            [list(self.states), self._limit],
        ).fetchall()
        if not changes:
            return 0
        messages: list[Outgoing] = []
        for name, state in self.states.items():
            keys = {key: position for projection, key, position in changes if projection == name}
            messages += self._messages(session, state, keys)
        try:
            self.producer.publish(messages)
        except TooLarge as error:
            if len(messages) == 1:
                key, name = messages[0].key.decode(), changes[0][0]
                raise too_large(messages[0], f"the row {key} of {name}") from error
            self._limit = len(messages) // 2
            return self.publish(session)
        self._limit = min(PUBLISH_BATCH_MAX, 2 * self._limit)
        session.execute(
            f"DELETE FROM {CHANGES} AS c "
            "USING unnest(%s::text[], %s::text[], %s::bigint[]) AS published(projection, key, at) "
            "WHERE c.projection = published.projection AND c.key = published.key AND c.position = published.at",
            [list(column) for column in zip(*changes, strict=True)],
        )
        return len(messages)

    def _messages(self, session: psycopg.Connection[Any], state: State, keys: Mapping[str, int]) -> list[Outgoing]:
        rows = self._rows(session, state, keys)
        times = self._times(session, state, keys.values())
        return [self._message(state, key, position, rows.get(key), times[position]) for key, position in keys.items()]

    def _rows(self, session: psycopg.Connection[Any], state: State, keys: Mapping[str, int]) -> dict[str, str]:
        """Each row as JSON text, by its key."""
        table, names = state.table.name, [column.name for column in state.table.primary_key]
        asked = to_json([dict(zip(names, from_json(key), strict=True)) for key in keys]).decode()
        found = session.execute(
            f"SELECT json_build_array({', '.join(f't.{name}' for name in names)})::text, to_json(published)::text "
            f"FROM json_populate_recordset(NULL::{table}, %s::json) AS asked "
            f"JOIN {table} AS t USING ({', '.join(names)}), "
            f"LATERAL (SELECT {', '.join(_as_published(column) for column in state.table.columns)}) AS published",
            [asked],
        )
        return {key_text(from_json(key)): row for key, row in found}

    def _times(self, session: psycopg.Connection[Any], state: State, positions: Collection[int]) -> Mapping[int, bytes]:
        """When the event at each position was recorded; of a position without one, as of rows that were published
        whole, when the newest event was that the read model has taken."""
        times = {at: _time_of(kept) for at, kept in session.execute(TIME_AT, [sorted(set(positions))])}
        if unknown := set(positions) - times.keys():
            newest = session.execute(TIME_OF_NEWEST, {"name": state.table.name}).fetchone()
            times |= dict.fromkeys(unknown, _time_of(newest[0]) if newest else BEGINNING)
        return times

    def _message(self, state: State, key: str, position: int, row: str | None, time: bytes) -> Outgoing:
        message_key = state.message_key(from_json(key))
        value = None if row is None else row.encode()
        digest = REMOVED if value is None else sha256(value).hexdigest()[:DIGEST_CHARACTERS].encode()
        headers = [
            *CONSTANT_HEADERS,
            ("ce_id", b"/".join((message_key, sequence(position), digest))),
            ("ce_type", state.type.encode()),
            ("ce_source", f"/oms-es/{state.table.name}".encode()),
            ("ce_subject", message_key),
            ("ce_time", time),
            ("ce_sequence", sequence(position)),
        ]
        topic_partition = TopicPartition(state.topic, partition_of(message_key, self._partitions[state.topic]))
        return Outgoing(topic_partition, message_key, value, headers)

    def _mark_everything_dirty_once(self, session: psycopg.Connection[Any], name: str, state: State) -> None:
        """What is older than the topic was never marked as changed."""
        first = session.execute(
            f"INSERT INTO {RELAY} (name) VALUES (%s) ON CONFLICT DO NOTHING RETURNING name", [f"state/{name}"]
        ).fetchone()
        if first:
            key = ", ".join(column.name for column in state.table.primary_key)
            rows = session.execute(f"SELECT {key} FROM {name}").fetchall()
            session.execute(MARK_DIRTY, {"projection": name, "position": 0, "keys": [key_text(row) for row in rows]})


def _as_published(column: Column[Any]) -> str:
    """A column of a row `t`, as JSON has it."""
    if isinstance(column.type, DateTime):
        return f"to_char(t.{column.name} AT TIME ZONE 'UTC', '{MOMENT}') AS {column.name}"
    return f"t.{column.name}"


def _time_of(state: bytes) -> bytes:
    """When an event was recorded, as its own message has it."""
    time: str = opened(whole(bytes(state)))[1]["recorded_at"]
    return time.encode()


class DeadLetterRow(NamedTuple):
    """A dead letter, as it is published."""

    id: int
    source: str
    place: str
    payload: bytes
    reason: str
    detail: str
    headers: Any


class DeadLetterPublisher:
    """Dead letters of a topic, to its dead letter topic: the bytes as they came, their headers, and the reason.

    One that is larger than the brokers take goes without what came: its id, length and digest say what to ask for.
    """

    batch_max = PUBLISH_BATCH_MAX

    def __init__(self, producer: Producer, source: str, topic: str, clock: Callable[[], Any]) -> None:
        self.producer = producer
        self.source = source
        self.topic = topic
        self.clock = clock
        self._partitions = 0

    def begin(self, _session: psycopg.Connection[Any], _epoch: int) -> None:
        self._partitions = self.producer.partitions([self.topic])[self.topic]

    def publish(self, session: psycopg.Connection[Any]) -> int:
        rows = session.execute(
            f"SELECT id, source, place, payload, reason, detail, headers FROM {DEAD_LETTERS} "
            "WHERE told_at IS NULL AND starts_with(source, %s) ORDER BY id LIMIT %s",
            [f"{self.source}@", PUBLISH_BATCH_MAX],
        ).fetchall()
        dead_letters = [DeadLetterRow(*row) for row in rows]
        if dead_letters:
            self._publish(dead_letters)
            session.execute(
                f"UPDATE {DEAD_LETTERS} SET told_at = %s WHERE id = ANY(%s)",
                [self.clock(), [dead_letter.id for dead_letter in dead_letters]],
            )
        return len(dead_letters)

    def _publish(self, dead_letters: Sequence[DeadLetterRow]) -> None:
        """Halved down to what is too large; each half is published again, which the id in it makes harmless."""
        try:
            self.producer.publish([self._whole(dead_letter) for dead_letter in dead_letters])
        except TooLarge:
            if len(dead_letters) == 1:
                self.producer.publish([self._without_payload(dead_letters[0])])
                return
            middle = len(dead_letters) // 2
            self._publish(dead_letters[:middle])
            self._publish(dead_letters[middle:])

    def _whole(self, dead_letter: DeadLetterRow) -> Outgoing:
        headers = [
            *headers_of(dead_letter.headers),
            *_envelope(dead_letter),
            ("oms_detail", dead_letter.detail.encode()),
        ]
        return self._outgoing(dead_letter, dead_letter.payload, headers)

    def _without_payload(self, dead_letter: DeadLetterRow) -> Outgoing:
        log.warning(
            "dead letter published without its payload", dead_letter=dead_letter.id, bytes=len(dead_letter.payload)
        )
        headers = [
            *_envelope(dead_letter),
            ("oms_detail", dead_letter.detail[:DETAIL_CHARACTERS_MAX].encode()),
            ("oms_payload_bytes", b"%d" % len(dead_letter.payload)),
            ("oms_payload_sha256", sha256(dead_letter.payload).hexdigest().encode()),
        ]
        return self._outgoing(dead_letter, b"", headers)

    def _outgoing(self, dead_letter: DeadLetterRow, payload: bytes, headers: Sequence[Header]) -> Outgoing:
        key = f"{dead_letter.source}:{dead_letter.place}".encode()
        return Outgoing(TopicPartition(self.topic, partition_of(key, self._partitions)), key, bytes(payload), headers)


def _envelope(dead_letter: DeadLetterRow) -> list[Header]:
    return [
        ("oms_dead_letter", str(dead_letter.id).encode()),
        ("oms_source", dead_letter.source.encode()),
        ("oms_place", dead_letter.place.encode()),
        ("oms_reason", dead_letter.reason.encode()),
    ]
