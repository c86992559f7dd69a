"""Personal data beside events and read models: dead letters, the log of accesses, and the reasons why readers stopped.

Invariant: a dead letter belongs to a person only if it contains their e-mail address or phone number as a whole value,
or parses as one of their orders; a dead letter that merely resembles them is listed for a person to decide, and is
neither changed nor given out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from pydantic_core import from_json, to_json

from oms_es.app.privacy import rows
from oms_es.app.privacy.rows import READ_MAX, Touched
from oms_es.kernel import Recorded
from oms_es.schemas.order import OrderPlaced
from oms_es.schemas.values.parts import parts_of, take_out
from oms_es.store.dead_letters import DEAD_LETTERS, OPEN
from oms_es.store.http.tables import ACCESS_LOG
from oms_es.store.stops import STOPS

REACHES: Mapping[str, int] = {"email": 5, "phone": 7}
"""Fields whose value identifies one person, if it has at least this many characters."""
RESEMBLES: Mapping[str, int] = {**REACHES, "street": 6, "notes": 12, "note_text": 12}
"""Fields whose value other people may share, at least in part: a person has to decide."""
BESIDE = frozenset({"city", "postal_code", "customer_id", "street", "phone", "email"})
"""Fields that resemble a person only together with the name."""
NAME_CHARACTERS_MIN = 3
BEFORE, AFTER = rb"(?<![\w@.+%%\-\x80-\xff])%s", rb"%s(?![\w@.+%%\-\x80-\xff])"
OF_A_NUMBER = rb"(?<!\d[ ()./-])%s(?![ ()./-]{1,2}\d)"
"""Excludes matches within a longer number that is written in groups."""
FORGOTTEN = "forgotten"
FOUND = "EXISTS (SELECT FROM unnest(%(said)s::bytea[]) AS said(text) WHERE position(said.text IN {}) > 0)"
DETAIL = "convert_to(detail, 'UTF8')"
LIKE_THIS = f"""
SELECT id, payload, {DETAIL} AS detail FROM {DEAD_LETTERS}
WHERE {FOUND.format("payload")} OR {FOUND.format(DETAIL)} ORDER BY id
"""
TAKE_AWAY = f"""
UPDATE {DEAD_LETTERS} SET payload = convert_to(%(why)s || ' ' || id, 'UTF8'), detail = '', headers = '[]',
    discarded_at = CASE WHEN replayed_at IS NULL THEN coalesce(discarded_at, now()) ELSE discarded_at END,
    discarded_by = %(actor)s, discarded_because = %(why)s
WHERE id = ANY(%(ids)s)
"""
LETTERS_MAX = 100
"""Dead letters whose content is read at once."""
ORDERS_MAX = 1_000
"""Orders whose content a dead letter is compared with at once."""
EXPIRED = "expired"
SETTLED_BEFORE = f"""
SELECT id, payload, {DETAIL} AS detail FROM {DEAD_LETTERS}
WHERE id > %s AND NOT ({OPEN}) AND greatest(replayed_at, discarded_at) < %s
    AND payload NOT IN (convert_to('{EXPIRED} ' || id, 'UTF8'), convert_to('{FORGOTTEN} ' || id, 'UTF8'))
ORDER BY id LIMIT {LETTERS_MAX}
"""
EMPTY = f"""
UPDATE {DEAD_LETTERS} SET payload = convert_to('{EXPIRED} ' || id, 'UTF8'), detail = '', headers = '[]'
WHERE id = ANY(%s) AND NOT ({OPEN})
"""
QUIET = f"UPDATE {STOPS} SET why = %s WHERE name = ANY(%s)"
UNNAMED = f"UPDATE {ACCESS_LOG} SET subject = %s WHERE subject = ANY(%s)"

Connection = psycopg.Connection[dict[str, Any]]


class FoundDeadLetters(NamedTuple):
    """Dead letters of a person. `like_theirs`: those that a person has to look at."""

    theirs: list[int]
    like_theirs: list[int]


class Said(NamedTuple):
    """What a person's events say. `whole`: identifying values, matched as a whole. `names`: matched only with one of
    `beside`."""

    whole: re.Pattern[bytes] | None
    orders: frozenset[tuple[str, str]]
    resembling: frozenset[bytes]
    names: re.Pattern[bytes] | None
    beside: re.Pattern[bytes] | None
    searched: frozenset[bytes]

    def is_theirs(self, payload: bytes, detail: bytes = b"") -> bool:
        if self.whole and any(map(self.whole.search, (payload, detail))):
            return True
        return _order_in(payload) in self.orders

    def is_like_theirs(self, text: bytes) -> bool:
        if any(said in text for said in self.resembling):
            return True
        return bool(self.names and self.beside and self.names.search(text) and self.beside.search(text))


def said_in(events: Iterable[Recorded]) -> Said:
    fields: dict[str, set[str]] = {}
    orders = set[tuple[str, str]]()
    for recorded in events:
        event = recorded.event
        if isinstance(event, OrderPlaced):
            orders.add((event.channel, event.external_id))
        for field, text in _texts(take_out(from_json(to_json(event)), parts_of(type(event)))):
            fields.setdefault(field, set()).add(text)
    emails, phones = (_long(fields, {field: least}) for field, least in REACHES.items())
    names, resembling = _long(fields, {"name": NAME_CHARACTERS_MIN}), _long(fields, RESEMBLES)
    numbered = [OF_A_NUMBER % re.escape(phone) for phone in phones]
    return Said(
        _pattern([*map(re.escape, emails), *numbered]),
        frozenset(orders),
        resembling,
        _pattern(map(re.escape, names)),
        _pattern(map(re.escape, _long(fields, dict.fromkeys(BESIDE, 1)))),
        resembling | names | {one for _, external_id in orders for one in _as_bytes(external_id)},
    )


def _long(fields: Mapping[str, Collection[str]], least: Mapping[str, int]) -> frozenset[bytes]:
    texts = (text for field, count in least.items() for text in fields.get(field, ()) if len(text) >= count)
    return frozenset(one for text in texts for one in _as_bytes(text))


def _pattern(texts: Iterable[bytes]) -> re.Pattern[bytes] | None:
    """Return the pattern that matches any of the texts, or None without any."""
    each = b"|".join(sorted(texts))
    return re.compile(AFTER % (BEFORE % (b"(?:%s)" % each))) if each else None


def _texts(taken: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each text with the name of its field."""
    for path, value in taken.items():
        if isinstance(value, str):
            yield path.rpartition(".")[2], value
        elif isinstance(value, dict):
            yield from _texts(value)


def _as_bytes(text: str) -> set[bytes]:
    """Return the text as bytes: plain, and in both JSON encodings."""
    return {text.encode(), json.dumps(text)[1:-1].encode(), json.dumps(text, ensure_ascii=False)[1:-1].encode()}


def _order_in(payload: bytes) -> tuple[str, str] | None:
    """Return the channel and id of the order in the payload; None if there is none, or more than one."""
    try:
        body = from_json(payload)
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    named = body.get("channel"), body.get("external_id")
    return (named[0], named[1]) if isinstance(named[0], str) and isinstance(named[1], str) else None


def take_away(connection: Connection, said: Said, touched: Touched, actor: str) -> FoundDeadLetters:
    """Empty the person's dead letters, reasons and accesses, and return the dead letters; done while the keys exist, so
    that it can be repeated."""
    found = dead_letters_of(connection, said)
    connection.execute(TAKE_AWAY, {"ids": found.theirs, "actor": actor, "why": FORGOTTEN})
    stops = connection.execute(f"SELECT name, why FROM {STOPS}".encode()).fetchall()
    quoting = [row["name"] for row in stops if said.is_like_theirs(row["why"].encode())]
    connection.execute(QUIET, [FORGOTTEN, quoting])
    connection.execute(UNNAMED, [FORGOTTEN, list(named(touched))])
    return found


def dead_letters_of(connection: Connection, said: Said) -> FoundDeadLetters:
    """Return the dead letters of the person. It reads every dead letter once, and needs a transaction."""
    found = FoundDeadLetters([], [])
    if not said.searched:
        return found
    with connection.cursor(name="letters") as curs:
        curs.itersize = READ_MAX
        for row in curs.execute(LIKE_THIS, {"said": sorted(said.searched)}):
            payload, detail = bytes(row["payload"]), bytes(row["detail"])
            if said.is_theirs(payload, detail):
                found.theirs.append(row["id"])
            elif said.is_like_theirs(payload) or said.is_like_theirs(detail):
                found.like_theirs.append(row["id"])
    return found


def expire(connection: Connection, before: datetime, after: int, held: Sequence[str]) -> tuple[list[int], int | None]:
    """Empty the next dead letters that were settled before a moment, except those that are of orders in `held` or
    resemble them. Return those that were emptied, and the id to go on after, or None at the end."""
    with connection.transaction():
        found = connection.execute(SETTLED_BEFORE.encode(), [after, before]).fetchall()
        if not found:
            return [], None
        kept = [
            said_in(rows.events_of(connection, held[first : first + ORDERS_MAX], rows.PERSONAL_EVENTS))
            for first in range(0, len(held), ORDERS_MAX)
        ]
        emptied = [row["id"] for row in found if not any(_concerns(said, row) for said in kept)]
        connection.execute(EMPTY.encode(), [emptied])
        return emptied, found[-1]["id"] if len(found) == LETTERS_MAX else None


def _concerns(said: Said, row: Mapping[str, Any]) -> bool:
    payload, detail = bytes(row["payload"]), bytes(row["detail"])
    return said.is_theirs(payload, detail) or said.is_like_theirs(payload) or said.is_like_theirs(detail)


def named(touched: Touched) -> Iterator[str]:
    """Yield the names that the access log has for the person: a customer, or a row of a read model by customer."""
    for key in touched["customers"]:
        yield "~".join(map(str, key))
    for projection in ("customers", "customer_spending"):
        for key in touched[projection]:
            yield "/".join(map(str, key))
