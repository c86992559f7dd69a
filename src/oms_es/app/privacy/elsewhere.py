"""What says something of a person beside history and its read models: input that could not be used, who looked at
whose data, answers that are repeated.

Invariant: what names the person is found by what their orders said of them, as bytes; nothing else is changed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import psycopg
from pydantic_core import from_json, to_json

from oms_es.app.privacy.rows import Customer, stream_of
from oms_es.kernel import Recorded
from oms_es.schemas.values.parts import parts_of, take_out
from oms_es.store.dead_letters import DEAD_LETTERS
from oms_es.store.http.tables import ACCESS_LOG, IDEMPOTENCY
from oms_es.store.stops import STOPS

CERTAIN: Mapping[str, int] = {"email": 5, "phone": 7, "street": 6, "notes": 12, "note_text": 12}
"""What names a person by itself, if it has so many characters."""
BESIDE = frozenset({"city", "postal_code", "customer_id", "street", "phone", "email"})
"""What does so beside their name."""
NAME_CHARACTERS_MIN = 3
FORGOTTEN = "forgotten"
FOUND = "EXISTS (SELECT FROM unnest(%(said)s::bytea[]) AS said(text) WHERE position(said.text IN {}) > 0)"
DETAIL, WHY = "convert_to(detail, 'UTF8')", "convert_to(why, 'UTF8')"
LIKE_THIS = f"""
SELECT id, payload, {DETAIL} AS detail FROM {DEAD_LETTERS} WHERE {FOUND.format("payload")} OR {FOUND.format(DETAIL)}
"""
TAKE_AWAY = f"""
UPDATE {DEAD_LETTERS} SET payload = convert_to(%(why)s || ' ' || id, 'UTF8'), detail = '', headers = '[]',
    discarded_at = CASE WHEN replayed_at IS NULL THEN coalesce(discarded_at, now()) ELSE discarded_at END,
    discarded_by = %(actor)s, discarded_because = %(why)s
WHERE id = ANY(%(ids)s)
"""
QUIET = f"UPDATE {STOPS} SET why = %(why)s WHERE {FOUND.format(WHY)}"
UNNAMED = f"UPDATE {ACCESS_LOG} SET subject = %s WHERE subject = ANY(%s)"
NO_ANSWERS = f"DELETE FROM {IDEMPOTENCY} WHERE stream = ANY(%s)"

Connection = psycopg.Connection[dict[str, Any]]


class Said(NamedTuple):
    """`certain`: each names the person. `names`: do so where one of `beside` stands in the same text."""

    certain: frozenset[bytes]
    names: frozenset[bytes]
    beside: frozenset[bytes]

    def is_in(self, text: bytes) -> bool:
        if any(said in text for said in self.certain):
            return True
        return any(name in text for name in self.names) and any(said in text for said in self.beside)


def said_in(events: Iterable[Recorded]) -> Said:
    certain, names, beside = set[bytes](), set[bytes](), set[bytes]()
    for recorded in events:
        body = from_json(to_json(recorded.event))
        for field, text in _texts(take_out(body, parts_of(type(recorded.event)))):
            if len(text) >= CERTAIN.get(field, len(text) + 1):
                certain.update(_as_bytes(text))
            if field == "name" and len(text) >= NAME_CHARACTERS_MIN:
                names.update(_as_bytes(text))
            if field in BESIDE and text:
                beside.update(_as_bytes(text))
    return Said(frozenset(certain), frozenset(names), frozenset(beside))


def _texts(taken: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each with the name of its field."""
    for path, value in taken.items():
        if isinstance(value, str):
            yield path.rpartition(".")[2], value
        elif isinstance(value, dict):
            yield from _texts(value)


def _as_bytes(text: str) -> set[bytes]:
    """As it stands in what was sent: as it is, and as JSON has it in either way."""
    return {text.encode(), json.dumps(text)[1:-1].encode(), json.dumps(text, ensure_ascii=False)[1:-1].encode()}


def take_away(
    connection: Connection, said: Said, orders: Collection[str], customers: Collection[Customer], actor: str
) -> int:
    """How many dead letters lost what they held."""
    ids = letters_with(connection, said)
    connection.execute(TAKE_AWAY, {"ids": ids, "actor": actor, "why": FORGOTTEN})
    connection.execute(QUIET, {"said": sorted(said.certain), "why": FORGOTTEN})
    connection.execute(UNNAMED, [FORGOTTEN, [name for customer in customers for name in named(customer)]])
    connection.execute(NO_ANSWERS, [[stream_of(order_id) for order_id in orders]])
    return len(ids)


def letters_with(connection: Connection, said: Said) -> list[int]:
    """The dead letters that name the person."""
    known = {"said": sorted(said.certain | said.names)}
    found = connection.execute(LIKE_THIS, known).fetchall() if known["said"] else []
    return [row["id"] for row in found if said.is_in(bytes(row["payload"])) or said.is_in(bytes(row["detail"]))]


def named(customer: Customer) -> Iterator[str]:
    """As the access log names who was looked at."""
    yield "~".join(customer)
    yield "/".join(customer)
