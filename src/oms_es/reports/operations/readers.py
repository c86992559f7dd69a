"""The position of every reader, how many events of its interest are still to come, and why a reader has stopped.

This counts for readers of the log and of partitions alike: only events that concern a reader are counted, so that a
reader that has passed others without saving its position is not behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import psycopg
from psycopg.sql import SQL, Identifier

from oms_es.kafka.groups.watermark import Progress
from oms_es.kafka.relay.store import RELAY, RELAY_PARTITIONS
from oms_es.kernel import Event
from oms_es.reports.streams import end_of_log
from oms_es.store import stops
from oms_es.store.recorder import EVENTS

COUNTED_MAX = 200_000
"""How many events are looked at; a reader that is further behind is reported as at least so much behind."""
FETCHED = 2_000

Connection = psycopg.Connection[dict[str, Any]]
Interests = Mapping[str, frozenset[type[Event]]]


class Reader(NamedTuple):
    """A reader.

    `behind` is the number of events of its interest that it has not taken. `position` is the saved one, up to which it
    has done everything.
    """

    role: str
    position: int
    behind: int
    stopped: Mapping[str, str]


class Standing(NamedTuple):
    """The state of all readers.

    `published`: up to where the log is published on Kafka, if it is. `others`: why roles stopped that read no events,
    such as the relay and partitions of input. `circuits`: the gateways' circuit breakers, with their times.
    """

    end: int
    published: int | None
    readers: tuple[Reader, ...]
    others: Mapping[str, str] = MappingProxyType({})
    circuits: tuple[Mapping[str, Any], ...] = ()

    @property
    def behind(self) -> dict[str, int]:
        return {reader.role: reader.behind for reader in self.readers if reader.behind}

    @property
    def stopped(self) -> dict[str, str]:
        return {name: why for reader in self.readers for name, why in reader.stopped.items()} | dict(self.others)


def standing(connection: Connection, interests: Interests) -> Standing:
    """Return the state of all readers, read in one snapshot."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return _standing(connection, interests)


def _standing(connection: Connection, interests: Interests) -> Standing:
    progress = Progress.stored(connection)
    stopped = stops.current(connection)
    ends = _partition_ends(connection)
    positions = {role: _position(progress, ends, role) for role in interests}
    behind = _behind(connection, interests, progress, min(positions.values(), default=0))
    readers = [
        Reader(role, positions[role], behind[role], {name: why for name, why in stopped.items() if _is(name, role)})
        for role in interests
    ]
    shown = {name for reader in readers for name in reader.stopped}
    others = {name: why for name, why in stopped.items() if name not in shown}
    noted = tuple(stops.circuits(connection))
    return Standing(end_of_log(connection), _published(connection), tuple(readers), others, noted)


def _is(name: str, role: str) -> bool:
    return name == role or name.startswith(f"{role}@")


def _position(progress: Progress, ends: Mapping[str, int], role: str) -> int:
    """Return a reader's position. Partitions that are read to their end are left out, as they delay no reader."""
    log = progress.positions.get(role, 0)
    own = [name for name in progress.positions if name.startswith(f"{role}@")]
    if not own:
        return log
    unfinished = [at for name in own if (at := progress.positions[name]) < ends.get(name.partition("@")[2], 0)]
    return max(log, min(unfinished, default=max(progress.positions[name] for name in own)))


def _behind(connection: Connection, interests: Interests, progress: Progress, floor: int) -> Counter[str]:
    interested: dict[str, list[str]] = {}
    for role, events in interests.items():
        for event in events:
            interested.setdefault(event.__name__, []).append(role)
    behind: Counter[str] = Counter()
    for row in _after(connection, floor):
        for role in interested.get(row["topic"], ()):
            if not progress.has_taken(role, row["originator_id"], row["notification_id"]):
                behind[role] += 1
    return behind


def _after(connection: Connection, position: int) -> Iterator[dict[str, Any]]:
    statement = SQL(
        "SELECT notification_id, originator_id, topic FROM {} WHERE notification_id > %s "
        "ORDER BY notification_id LIMIT %s"
    )
    with connection.cursor(name="behind") as curs:
        curs.itersize = FETCHED
        curs.execute(statement.format(Identifier(EVENTS)), [position, COUNTED_MAX])
        yield from curs


def _published(connection: Connection) -> int | None:
    row = connection.execute(f"SELECT position FROM {RELAY} WHERE name = 'events' AND epoch > 0").fetchone()
    return row["position"] if row else None


def _partition_ends(connection: Connection) -> dict[str, int]:
    rows = connection.execute(f"SELECT topic || '/' || partition AS place, position FROM {RELAY_PARTITIONS}")
    return {row["place"]: row["position"] for row in rows}
