"""What the relay tells besides the events: the latest state of orders and stock, and the input that was refused.

Invariant: whatever changed is told at least once after it changed, and the last thing told of a key is its latest
state. What is still to be told is a row, written in the transaction of the change, and taken away only after the broker
has what it stood for, unless it has changed again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import psycopg
import structlog
from pydantic_core import from_json, to_json
from sqlalchemy import Table

from oms_es.runtime.changes import CHANGES, MARK_CHANGED, key_text
from oms_es.runtime.dead_letters import DEAD_LETTERS, Header, headers_of
from oms_es.runtime.kafka import Outgoing, Place, Publisher, TooLarge, partition_of
from oms_es.runtime.relay import RELAY
from oms_es.runtime.wire import CONSTANT_HEADERS, sequence

TOLD_MAX = 1_000
"""Rows per publish."""
DETAIL_CHARACTERS_MAX = 1_000
"""Of the detail of a dead letter that is too large to be published whole."""

log = structlog.get_logger(__name__)


class State(NamedTuple):
    """A read model whose rows are told: each as the value of its key, in a compacted topic."""

    table: Table
    topic: str
    type: str
    description: str

    def message_key(self, key: Sequence[Any]) -> bytes:
        return "@".join(str(part) for part in key).encode()


class StateOutlet:
    """Rows that changed, to the compacted topics; a tombstone where the row is gone."""

    batch_max = TOLD_MAX

    def __init__(self, publisher: Publisher, states: Sequence[State]) -> None:
        self.publisher = publisher
        self.states = {state.table.name: state for state in states}
        self._partitions: Mapping[str, int] = {}

    def begin(self, session: psycopg.Connection[Any], _epoch: int) -> None:
        self._partitions = self.publisher.partitions([state.topic for state in self.states.values()])
        for name, state in self.states.items():
            with session.transaction():
                self._tell_everything_once(session, name, state)

    def publish(self, session: psycopg.Connection[Any]) -> int:
        changes = session.execute(
            f"SELECT projection, key, position FROM {CHANGES} WHERE projection = ANY(%s) ORDER BY position LIMIT %s",
            [list(self.states), TOLD_MAX],
        ).fetchall()
        if not changes:
            return 0
        messages: list[Outgoing] = []
        for name, state in self.states.items():
            keys = {key: position for projection, key, position in changes if projection == name}
            messages += self._messages(session, state, keys)
        self.publisher.publish(messages)
        session.execute(
            f"DELETE FROM {CHANGES} AS c "
            "USING unnest(%s::text[], %s::text[], %s::bigint[]) AS told(projection, key, at) "
            "WHERE c.projection = told.projection AND c.key = told.key AND c.position = told.at",
            [list(column) for column in zip(*changes, strict=True)],
        )
        return len(messages)

    def _messages(self, session: psycopg.Connection[Any], state: State, keys: Mapping[str, int]) -> list[Outgoing]:
        rows = self._rows(session, state, keys)
        return [self._message(state, key, position, rows.get(key)) for key, position in keys.items()]

    def _rows(self, session: psycopg.Connection[Any], state: State, keys: Mapping[str, int]) -> dict[str, str]:
        """Each row as JSON text, by its key."""
        table, names = state.table.name, [column.name for column in state.table.primary_key]
        asked = to_json([dict(zip(names, from_json(key), strict=True)) for key in keys]).decode()
        found = session.execute(
            f"SELECT json_build_array({', '.join(f't.{name}' for name in names)})::text, to_json(t)::text "
            f"FROM json_populate_recordset(NULL::{table}, %s::json) AS asked "
            f"JOIN {table} AS t USING ({', '.join(names)})",
            [asked],
        )
        return {key_text(from_json(key)): row for key, row in found}

    def _message(self, state: State, key: str, position: int, row: str | None) -> Outgoing:
        message_key = state.message_key(from_json(key))
        headers = [
            *CONSTANT_HEADERS,
            ("ce_id", message_key + b"/" + sequence(position)),
            ("ce_type", state.type.encode()),
            ("ce_source", f"/oms-es/{state.table.name}".encode()),
            ("ce_sequence", sequence(position)),
        ]
        place = Place(state.topic, partition_of(message_key, self._partitions[state.topic]))
        return Outgoing(place, message_key, None if row is None else row.encode(), headers)

    def _tell_everything_once(self, session: psycopg.Connection[Any], name: str, state: State) -> None:
        """What is older than the topic was never marked as changed."""
        first = session.execute(
            f"INSERT INTO {RELAY} (name) VALUES (%s) ON CONFLICT DO NOTHING RETURNING name", [f"state/{name}"]
        ).fetchone()
        if first:
            key = ", ".join(column.name for column in state.table.primary_key)
            rows = session.execute(f"SELECT {key} FROM {name}").fetchall()
            session.execute(MARK_CHANGED, {"projection": name, "position": 0, "keys": [key_text(row) for row in rows]})


class Letter(NamedTuple):
    """A dead letter, as it is published."""

    id: int
    source: str
    place: str
    payload: bytes
    reason: str
    detail: str
    headers: Any


class DeadLetterOutlet:
    """Dead letters of a topic, to its dead letter topic: the bytes as they came, their headers, and the reason.

    One that is larger than the brokers take goes without what came: its id, length and digest say what to ask for.
    """

    batch_max = TOLD_MAX

    def __init__(self, publisher: Publisher, source: str, topic: str, clock: Callable[[], Any]) -> None:
        self.publisher = publisher
        self.source = source
        self.topic = topic
        self.clock = clock
        self._partitions = 0

    def begin(self, _session: psycopg.Connection[Any], _epoch: int) -> None:
        self._partitions = self.publisher.partitions([self.topic])[self.topic]

    def publish(self, session: psycopg.Connection[Any]) -> int:
        rows = session.execute(
            f"SELECT id, source, place, payload, reason, detail, headers FROM {DEAD_LETTERS} "
            "WHERE told_at IS NULL AND starts_with(source, %s) ORDER BY id LIMIT %s",
            [f"{self.source}@", TOLD_MAX],
        ).fetchall()
        letters = [Letter(*row) for row in rows]
        if letters:
            self._publish(letters)
            session.execute(
                f"UPDATE {DEAD_LETTERS} SET told_at = %s WHERE id = ANY(%s)",
                [self.clock(), [letter.id for letter in letters]],
            )
        return len(letters)

    def _publish(self, letters: Sequence[Letter]) -> None:
        """Halved down to what is too large; each half is published again, which the id in it makes harmless."""
        try:
            self.publisher.publish([self._whole(letter) for letter in letters])
        except TooLarge:
            if len(letters) == 1:
                self.publisher.publish([self._without_payload(letters[0])])
                return
            middle = len(letters) // 2
            self._publish(letters[:middle])
            self._publish(letters[middle:])

    def _whole(self, letter: Letter) -> Outgoing:
        told = [*headers_of(letter.headers), *_envelope(letter), ("oms_detail", letter.detail.encode())]
        return self._outgoing(letter, letter.payload, told)

    def _without_payload(self, letter: Letter) -> Outgoing:
        log.warning("dead letter published without its payload", dead_letter=letter.id, bytes=len(letter.payload))
        told = [
            *_envelope(letter),
            ("oms_detail", letter.detail[:DETAIL_CHARACTERS_MAX].encode()),
            ("oms_payload_bytes", b"%d" % len(letter.payload)),
            ("oms_payload_sha256", sha256(letter.payload).hexdigest().encode()),
        ]
        return self._outgoing(letter, b"", told)

    def _outgoing(self, letter: Letter, payload: bytes, headers: Sequence[Header]) -> Outgoing:
        key = f"{letter.source}:{letter.place}".encode()
        return Outgoing(Place(self.topic, partition_of(key, self._partitions)), key, bytes(payload), headers)


def _envelope(letter: Letter) -> list[Header]:
    return [
        ("oms_dead_letter", str(letter.id).encode()),
        ("oms_source", letter.source.encode()),
        ("oms_place", letter.place.encode()),
        ("oms_reason", letter.reason.encode()),
    ]
