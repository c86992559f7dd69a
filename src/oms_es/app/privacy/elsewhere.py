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
from oms_es.app.privacy.rows import READ_MAX, Customer, Touched
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
CAN_GO = f"""
SELECT id, payload, {DETAIL} AS detail, %(before)s::timestamptz IS NOT NULL AND ({OPEN} OR buried_at >= %(before)s)
    AS too_new
FROM {DEAD_LETTERS} WHERE id = ANY(%(ids)s) ORDER BY id
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


def take_away(
    connection: Connection, said: Said, actor: str, spared: Sequence[str], before: datetime | None = None
) -> FoundDeadLetters:
    """Empty the person's dead letters and the reasons that quote them, and return the dead letters; done while the keys
    exist, so that it can be repeated. What is of an order in `spared`, or resembles it, stays; with `before`, what is
    open or came in later stays too, and counts as like theirs."""
    found = dead_letters_of(connection, said)
    theirs, newer = _that_can_go(connection, found.theirs, spared, before)
    connection.execute(TAKE_AWAY, {"ids": theirs, "actor": actor, "why": FORGOTTEN})
    stops = connection.execute(f"SELECT name, why FROM {STOPS}".encode()).fetchall()
    quoting = [row["name"] for row in stops if said.is_like_theirs(row["why"].encode())]
    connection.execute(QUIET, [FORGOTTEN, quoting])
    return FoundDeadLetters(theirs, sorted([*found.like_theirs, *newer]))


def _that_can_go(
    connection: Connection, letters: Sequence[int], spared: Sequence[str], before: datetime | None
) -> tuple[list[int], list[int]]:
    """Return the dead letters that are of no order in `spared`: those that can be emptied, and those too new for it."""
    if not letters:
        return [], []
    kept, can_go, newer = _said_of(connection, spared), list[int](), list[int]()
    with connection.cursor(name="theirs") as curs:
        curs.itersize = LETTERS_MAX
        for row in curs.execute(CAN_GO, {"ids": letters, "before": before}):
            if not any(_concerns(said, row) for said in kept):
                (newer if row["too_new"] else can_go).append(row["id"])
    return can_go, newer


def unname(connection: Connection, touched: Touched, ordering: Collection[Customer]) -> None:
    """Take the person out of the log of accesses, but for customers with orders that are not forgotten."""
    connection.execute(UNNAMED, [FORGOTTEN, list(named(touched, ordering))])


def _said_of(connection: Connection, orders: Sequence[str]) -> list[Said]:
    return [
        said_in(rows.events_of(connection, orders[first : first + ORDERS_MAX], rows.PERSONAL_EVENTS))
        for first in range(0, len(orders), ORDERS_MAX)
    ]


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
        kept = _said_of(connection, held)
        emptied = [row["id"] for row in found if not any(_concerns(said, row) for said in kept)]
        connection.execute(EMPTY.encode(), [emptied])
        return emptied, found[-1]["id"] if len(found) == LETTERS_MAX else None


def _concerns(said: Said, row: Mapping[str, Any]) -> bool:
    payload, detail = bytes(row["payload"]), bytes(row["detail"])
    return said.is_theirs(payload, detail) or said.is_like_theirs(payload) or said.is_like_theirs(detail)


def named(touched: Touched, but: Collection[Customer] = ()) -> Iterator[str]:
    """Yield the names that the access log has for the person: a customer, or a row of a read model by customer."""
    for key in touched["customers"]:
        if key not in but:
            yield "~".join(map(str, key))
    for projection in ("customers", "customer_spending"):
        for key in touched[projection]:
            if key[:2] not in but:
                yield "/".join(map(str, key))
