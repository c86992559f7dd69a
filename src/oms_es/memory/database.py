"""PostgreSQL in memory, as far as the engine uses it: transactions, locks that wait, sequences with gaps, sessions that
end.

Invariant: the changes of a transaction exist completely after its commit, and not at all before or without it; a client
that got an error from a commit may still find it done.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import psycopg
from eventsourcing.persistence import IntegrityError, Notification
from sqlalchemy import Table

from oms_es.kafka.client import TopicPartition
from oms_es.kernel import Key, Recorded, Row
from oms_es.memory.client import Client, outage
from oms_es.memory.kept_codec import Kept
from oms_es.store.dead_letters import DeadLetter
from oms_es.store.encoding.codec import Codec, StoredRow
from oms_es.store.http.subscriptions import Delivery, Progress
from oms_es.store.http.tables import Kept as Answered
from oms_es.store.recorder import Advance, Move, Snapshot, check_moved

APPENDING = "append"

RELAYING = "relay"
DELIVERING = "deliveries"


@cache
def key_columns(table: Table) -> Sequence[str]:
    return tuple(column.name for column in table.primary_key)


class Rows:
    """A table's rows, with indexes in the orders that are queried."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.key_columns = key_columns(table)
        self.rows: dict[Key, Row] = {}
        self._sorted: dict[tuple[str | None, str | None], dict[Hashable, list[tuple[Any, ...]]]] = {}

    def put(self, row: Row) -> None:
        key = tuple(row[name] for name in self.key_columns)
        self.drop(key)
        self.rows[key] = row
        for (by, order_by), groups in self._sorted.items():
            insort(groups[by and row[by]], self._entry(key, row, order_by))

    def drop(self, key: Key) -> None:
        row = self.rows.pop(key, None)
        if row is not None:
            for (by, order_by), groups in self._sorted.items():
                group = groups[by and row[by]]
                del group[bisect_left(group, self._entry(key, row, order_by))]

    def found(self, by: str | None, value: Hashable, order_by: str | None, limit: int | None) -> list[Row]:
        """The rows whose column `by` has the value; all, without `by`."""
        group = self._groups(by, order_by).get(value, ())
        size = len(self.key_columns)
        return [self.rows[entry[-size:]] for entry in (group if limit is None else group[:limit])]

    def _groups(self, by: str | None, order_by: str | None) -> dict[Hashable, list[tuple[Any, ...]]]:
        if (by, order_by) not in self._sorted:
            groups = self._sorted[by, order_by] = defaultdict(list)
            for key, row in self.rows.items():
                insort(groups[by and row[by]], self._entry(key, row, order_by))
        return self._sorted[by, order_by]

    def _entry(self, key: Key, row: Row, order_by: str | None) -> tuple[Any, ...]:
        return key if order_by is None else (row[order_by], *key)


class Changed(NamedTuple):
    """The changes of one read model in a transaction."""

    rows: Rows
    kept: Sequence[Row]
    gone: Sequence[Key]


class Lock:
    def __init__(self) -> None:
        self.owner: object | None = None
        self.waiting: deque[Client] = deque()


class Database:
    """The committed state. `on_commit` gets every event when it is committed."""

    def __init__(self, codec: Codec, tables: Iterable[Table], on_commit: Callable[[list[Notification]], None]) -> None:
        self.codec = codec
        self.on_commit = on_commit
        self.log: list[Notification] = []
        self.positions: list[int] = []
        self.streams: dict[str, list[Notification]] = {}
        self.tracking: dict[str, int] = {}
        self.kept_snapshots: dict[str, Snapshot] = {}
        self.dead_letters: dict[tuple[str, bytes], DeadLetter] = {}
        self.tables = {table.name: Rows(table) for table in tables}
        self.answers: dict[tuple[str, str], Answered] = {}
        self.progress: dict[str, Progress] = {}
        self.deliveries: dict[tuple[str, int], Delivery] = {}
        self.relay_position = self.relay_epoch = 0
        self.published: dict[TopicPartition, int] = {}
        self.moves = 0  # increases with every position that moves
        self.generations: Counter[str] = Counter()  # the generation of each read model's rows
        self.away_until = 0.0
        self.sessions = 0  # increases when all sessions end
        self.sequence = 0
        self.locks: dict[str, Lock] = defaultdict(Lock)

    @property
    def end(self) -> int:
        return self.positions[-1] if self.positions else 0

    def touching(self, client: Client, error: type[Exception]) -> Callable[[], None]:
        """Return the function that every call of this client runs first: it raises faults and outages, and lets other
        clients run.

        This function runs more often than any other, and calls nothing as long as nothing happens.
        """

        def touch() -> None:
            client.calls = calls = client.calls + 1
            if calls >= client.halt_at:
                client.halt(error)
            if self.away_until and client.seconds < self.away_until:
                raise outage(error, "the database is away")

        return touch

    def restart(self, seconds: float) -> None:
        """End every session, and refuse new ones until `seconds`."""
        self.away_until = max(self.away_until, seconds)
        self.sessions += 1
        for lock in self.locks.values():
            if isinstance(lock.owner, Session):
                self.release(lock)

    def wait_for(self, lock: Lock, client: Client) -> None:
        """Wait until the lock is free."""
        while lock.owner is not None:
            lock.waiting.append(client)
            client.park()

    def release(self, lock: Lock) -> None:
        lock.owner = None
        if lock.waiting:
            waiting = list(lock.waiting)
            lock.waiting.clear()
            for client in waiting:
                client.unpark()

    def may_move(self, advance: Advance) -> bool:
        stands = self.tracking.get(advance.name)
        return stands == advance.previous if advance.previous else stands is None

    def may_move_to(self, move: Move) -> bool:
        """Return whether the position may move, and the rows are still of the generation in which the position was
        read."""
        newest = self.generations[move.name.partition("@")[0]]
        known = move.generation is None or not move.previous or move.generation == newest
        return known and self.may_move(Advance(move.name, move.previous, move.position))

    def rebuild(self, name: str, rows: Iterable[Row]) -> bool:
        """Replace the rows of a read model; return False while another transaction is about to commit
        changes to them."""
        begun = f"tracking/{name}"
        held = (lock.owner for at, lock in self.locks.items() if at == begun or at.startswith(f"{begun}@"))
        if any(owner is not None for owner in held):
            return False
        table = self.tables[name]
        for key in list(table.rows):
            table.drop(key)
        for row in rows:
            table.put(row)
        self.generations[name] += 1
        return True

    def save(self, client: Client, advance: Advance, error: type[Exception]) -> None:
        """Commit a transaction that only moves a position."""
        name = f"tracking/{advance.name}"
        if name in self.locks:
            self.wait_for(self.locks[name], client)
        check_moved(self.may_move(advance) or None, advance)
        self.tracking[advance.name] = advance.position
        self.moves += 1
        client.touched(error)

    def commit(self, rows: Sequence[Notification]) -> None:
        self.check_unique(rows)
        for row in rows:
            self.streams.setdefault(str(row.originator_id), []).append(row)
            if isinstance(row.state, Kept):
                row.state.recorded = Recorded(row.id, *row.state.recorded[1:])
        if self.positions and rows[0].id < self.positions[-1]:  # can only happen without the append lock
            self.log = sorted([*self.log, *rows], key=lambda row: row.id)
            self.positions = [row.id for row in self.log]
        else:
            self.log.extend(rows)
            self.positions.extend(row.id for row in rows)
        self.on_commit(list(rows))

    def check_unique(self, rows: Iterable[StoredRow]) -> None:
        for row in rows:
            if row.originator_version <= len(self.streams.get(str(row.originator_id), ())):
                raise IntegrityError(f"{row.originator_id} has a version {row.originator_version} already")


class Session:
    """A connection that may hold a lock for as long as it is open."""

    def __init__(self, client: Client, database: Database, lock: str = RELAYING) -> None:
        self.client = client
        self.database = database
        self.lock = database.locks[lock]
        self.sessions = database.sessions
        self.alive = True
        self.asked = database.touching(client, psycopg.OperationalError)

    def ended(self) -> bool:
        return not self.alive or self.sessions != self.database.sessions

    def touch(self) -> None:
        self.asked()
        if self.ended():
            raise psycopg.OperationalError("the session has ended")

    def end(self) -> None:
        self.alive = False
        if self.lock.owner is self:
            self.database.release(self.lock)
