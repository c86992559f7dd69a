"""PostgreSQL, as far as the engine knows it: transactions, locks that wait, sequences with gaps, sessions that die.

Invariant: what a transaction did is there wholly after its commit, and not at all before or without it; whoever is told
that it failed may still find it done.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from types import TracebackType
from typing import Any, NamedTuple, Self

import psycopg
from eventsourcing.persistence import IntegrityError, Notification, OperationalError
from sqlalchemy import Table
from sqlalchemy.exc import OperationalError as SqlError

from oms_es.kafka.client import TopicPartition
from oms_es.kafka.relay import STANDBY_SECONDS, LeadershipLost, LogRow
from oms_es.kernel import Event, Key, Lookup, LookupResults, Recorded, Row
from oms_es.simulation.node import Node, outage
from oms_es.store.codec import Codec, StoredRow
from oms_es.store.dead_letters import DeadLetter
from oms_es.store.recorder import Advance, EventRow, Move, Snapshot, check_moved

APPENDING = "append"
RELAYING = "relay"


class Kept(bytes):
    """Stands for an event's JSON where the simulation does not write it: the event itself."""

    recorded: Recorded

    @classmethod
    def of(cls, recorded: Recorded) -> Kept:
        kept = cls()
        kept.recorded = recorded
        return kept

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kept) and self.recorded[1:] == other.recorded[1:]

    __hash__ = None  # type: ignore[assignment] # compared, never a key


class KeptCodec(Codec):
    """Events are not written as JSON: the same objects come back, with their positions."""

    def __init__(self, events: Mapping[str, type[Event]]) -> None:
        self.events = events

    def encode(self, recorded: Recorded) -> bytes:
        return Kept.of(recorded)

    def decode(self, row: StoredRow, position: int = 0) -> Recorded:
        assert isinstance(row.state, Kept)
        recorded = row.state.recorded
        return recorded if recorded.position == position else Recorded(position, *recorded[1:])


@cache
def key_columns(table: Table) -> Sequence[str]:
    return tuple(column.name for column in table.primary_key)


class Rows:
    """A table's rows, and them in the orders in which they are asked for."""

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
    """What a transaction will have changed of one read model."""

    rows: Rows
    kept: Sequence[Row]
    gone: Sequence[Key]


class Lock:
    def __init__(self) -> None:
        self.owner: object | None = None
        self.waiting: deque[Node] = deque()


class Database:
    """What is committed. `on_commit` is told of every event in the moment in which it is."""

    def __init__(self, codec: Codec, tables: Iterable[Table], on_commit: Callable[[list[Notification]], None]) -> None:
        self.codec = codec
        self.on_commit = on_commit
        self.log: list[Notification] = []
        self.positions: list[int] = []
        self.streams: dict[str, list[Notification]] = {}
        self.tracking: dict[str, int] = {}
        self.kept_snapshots: dict[str, Snapshot] = {}
        self.letters: dict[tuple[str, bytes], DeadLetter] = {}
        self.tables = {table.name: Rows(table) for table in tables}
        self.relay_position = self.relay_epoch = 0
        self.published: dict[TopicPartition, int] = {}
        self.moves = 0  # rises with every position that moves
        self.generations: Counter[str] = Counter()  # of each read model's rows
        self.away_until = 0.0
        self.sessions = 0  # rises when all sessions end
        self.sequence = 0
        self.locks: dict[str, Lock] = defaultdict(Lock)

    @property
    def end(self) -> int:
        return self.positions[-1] if self.positions else 0

    def touching(self, node: Node, error: type[Exception]) -> Callable[[], None]:
        """What every call of this node passes first: it may meet a fault, another node may go on meanwhile, nobody may
        answer. As it is called far more often than anything else here, it calls nothing itself while nothing happens.
        """

        def touch() -> None:
            node.calls = calls = node.calls + 1
            if calls >= node.halt_at:
                node.halt(error)
            if self.away_until and node.simulation.scheduler.now < self.away_until:
                raise outage(error, "the database is away")

        return touch

    def restart(self, seconds: float) -> None:
        """Every session ends, and for some time there is no new one."""
        self.away_until = max(self.away_until, seconds)
        self.sessions += 1
        for lock in self.locks.values():
            if isinstance(lock.owner, Session):
                self.release(lock)

    def wait_for(self, lock: Lock, node: Node) -> None:
        """Until nobody has it."""
        while lock.owner is not None:
            lock.waiting.append(node)
            node.park()

    def release(self, lock: Lock) -> None:
        lock.owner = None
        if lock.waiting:
            waiting = list(lock.waiting)
            lock.waiting.clear()
            for node in waiting:
                node.unpark()

    def may_move(self, advance: Advance) -> bool:
        stands = self.tracking.get(advance.name)
        return stands == advance.previous if advance.previous else stands is None

    def may_move_to(self, move: Move) -> bool:
        """Also whether the rows are of the generation in which the position was asked for."""
        newest = self.generations[move.name]
        known = move.generation is None or not move.previous or move.generation == newest
        return known and self.may_move(Advance(move.name, move.previous, move.position))

    def rebuild(self, name: str, rows: Iterable[Row]) -> bool:
        """Put these rows in the place of a read model's; not while somebody is about to commit others."""
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

    def save(self, node: Node, advance: Advance, error: type[Exception]) -> None:
        """A transaction that only moves a position."""
        name = f"tracking/{advance.name}"
        if name in self.locks:
            self.wait_for(self.locks[name], node)
        check_moved(self.may_move(advance) or None, advance)
        self.tracking[advance.name] = advance.position
        self.moves += 1
        node.touched(error)

    def commit(self, rows: Sequence[Notification]) -> None:
        self.check_unique(rows)
        for row in rows:
            self.streams.setdefault(str(row.originator_id), []).append(row)
            if isinstance(row.state, Kept):
                row.state.recorded = Recorded(row.id, *row.state.recorded[1:])
        if self.positions and rows[0].id < self.positions[-1]:  # only without the append lock
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
    """A connection that holds a lock for as long as it lives."""

    def __init__(self, node: Node, database: Database) -> None:
        self.node = node
        self.database = database
        self.sessions = database.sessions
        self.alive = True
        self.asked = database.touching(node, psycopg.OperationalError)

    def ended(self) -> bool:
        return not self.alive or self.sessions != self.database.sessions

    def touch(self) -> None:
        self.asked()
        if self.ended():
            raise psycopg.OperationalError("the session has ended")

    def end(self) -> None:
        self.alive = False
        lock = self.database.locks[RELAYING]
        if lock.owner is self:
            self.database.release(lock)


class Transaction:
    """What it will have done, and the locks it holds until then. `begin` takes those that it begins with."""

    def __init__(
        self, topic_partition: MemoryRecorder | MemoryRows, begin: Callable[[Transaction], None] | None
    ) -> None:
        self.node = topic_partition.node
        self.database = topic_partition.database
        self.touch = topic_partition.touch
        self.error = topic_partition.error
        self.begin = begin
        self.sessions = self.database.sessions
        self.locks: list[Lock] = []
        self.rows: list[Notification] = []
        self.moved: list[Advance | Move] = []
        self.changed: list[Changed] = []
        self.letters: Sequence[DeadLetter] = ()

    def __enter__(self) -> Self:
        self.touch()
        if self.begin:
            try:
                self.begin(self)
            except BaseException:
                self.end()
                raise
        return self

    def __exit__(self, failed: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        try:
            if failed is None:
                self.commit()
        finally:
            self.end()
        if failed is None and self.node.struck:
            self.node.touched(self.error)

    def lock(self, name: str) -> None:
        lock = self.database.locks[name]
        if lock.owner is not None and lock.owner is not self:
            self.database.wait_for(lock, self.node)
        lock.owner = self
        self.locks.append(lock)

    def advance(self, advance: Advance) -> None:
        """Whoever moves the same position waits for this transaction to end."""
        self.lock(f"tracking/{advance.name}")
        check_moved(self.database.may_move(advance) or None, advance)
        self.moved.append(advance)

    def move(self, move: Move) -> bool:
        """The same as one of many."""
        self.lock(f"tracking/{move.name}")
        may = self.database.may_move_to(move)
        if may:
            self.moved.append(move)
        return may

    def commit(self) -> None:
        self.touch()
        database = self.database
        if self.sessions != database.sessions:
            raise outage(self.error, "the session has ended")
        if self.rows:
            database.commit(self.rows)
            self.node.simulation.committed(self.node)
        for move in self.moved:
            database.tracking[move.name] = move.position
            database.moves += 1
        for table, kept, gone in self.changed:
            for row in kept:
                table.put(row)
            for key in gone:
                table.drop(key)
        for dead_letter in self.letters:
            database.letters[dead_letter.source, dead_letter.payload] = dead_letter

    def end(self) -> None:
        for lock in self.locks:
            if lock.owner is self:
                lock.owner = None
                if lock.waiting:
                    self.database.release(lock)


class MemoryRecorder:
    """The log and the positions, as store/recorder.py has them in PostgreSQL."""

    error = OperationalError

    def __init__(self, node: Node, database: Database) -> None:
        self.node = node
        self.database = database
        self.touch = database.touching(node, self.error)

    def writing(self) -> Transaction:
        return Transaction(self, self.lock)

    def moving(self) -> Transaction:
        return Transaction(self, None)

    def lock(self, transaction: Transaction) -> None:
        transaction.lock(APPENDING)

    def end(self, _transaction: Transaction | None = None) -> int:
        self.touch()
        return self.database.end

    def append(self, transaction: Transaction, rows: Sequence[EventRow]) -> list[int]:
        self.touch()
        database = self.database
        database.check_unique(rows)
        ids = []
        for row in rows:
            database.sequence += 1
            ids.append(database.sequence)
            transaction.rows.append(
                Notification(row.originator_id, row.originator_version, row.topic, row.state, database.sequence)
            )
        return ids

    def advance(self, transaction: Transaction, advance: Advance) -> None:
        self.touch()
        transaction.advance(advance)

    def save(self, advance: Advance) -> None:
        self.touch()
        self.database.save(self.node, advance, self.error)

    def change(self, transaction: Transaction, changes: Sequence[Changed]) -> None:
        self.touch()
        transaction.changed += changes

    def move(self, transaction: Transaction, moves: Sequence[Move]) -> set[str]:
        self.touch()
        return {move.name for move in sorted(moves) if transaction.move(move)}

    def move_at_rest(self, moves: Sequence[Move]) -> set[str]:
        """In the order of their names, as in PostgreSQL."""
        with self.moving() as transaction:
            return self.move(transaction, moves)

    def add_dead_letters(self, transaction: Transaction, letters: Sequence[DeadLetter]) -> None:
        self.touch()
        transaction.letters = letters

    def stale(self, _transaction: Transaction, expected: Mapping[str, int], /) -> list[str]:
        self.touch()
        streams = self.database.streams
        return [stream for stream, version in expected.items() if len(streams.get(stream, ())) > version]

    def tails(self, after: Mapping[str, int], _transaction: Transaction | None = None) -> Iterator[StoredRow]:
        self.touch()
        for stream in sorted(after):
            yield from self.database.streams.get(stream, ())[after[stream] :]

    def position(self, name: str) -> int:
        self.touch()
        return self.database.tracking.get(name, 0)

    def snapshots(self, streams: Sequence[str]) -> list[Snapshot]:
        kept = self.database.kept_snapshots
        return [kept[stream] for stream in streams if stream in kept]

    def keep_snapshot(self, snapshot: Snapshot) -> None:
        self.touch()
        known = self.database.kept_snapshots.get(snapshot.stream)
        if known is None or known.version < snapshot.version or known.topic != snapshot.topic:
            self.database.kept_snapshots[snapshot.stream] = snapshot

    def stream(self, stream: str) -> list[Notification]:
        self.touch()
        return list(self.database.streams.get(stream, ()))

    def stored(self, stream: str, version: int) -> EventRow | None:
        self.touch()
        rows = self.database.streams.get(stream, ())
        if not 0 < version <= len(rows):
            return None
        row = rows[version - 1]
        return EventRow(stream, row.originator_version, row.topic, row.state)

    def after(self, position: int, limit: int, stop: int | None = None) -> Sequence[Notification]:
        database = self.database
        if position >= database.end:  # nothing new is what is found most often
            return ()
        self.touch()
        first = bisect_right(database.positions, position)
        last = len(database.positions) if stop is None else bisect_right(database.positions, stop)
        return database.log[first : min(last, first + limit)]


class MemoryRows:
    """One read model's rows, as processing/read_models.py has them in PostgreSQL."""

    error = SqlError

    def __init__(self, node: Node, database: Database, table: Table) -> None:
        self.node = node
        self.database = database
        self.rows = database.tables[table.name]
        self.generations: dict[str, int] = {}  # by the position that was asked for
        self.touch = database.touching(node, self.error)

    def writing(self) -> Transaction:
        return Transaction(self, None)

    def lock(self, transaction: Transaction) -> None:
        self.touch()
        transaction.lock(f"rows/{self.rows.table.name}")

    def load(self, _transaction: Transaction | None, keys: Sequence[Key]) -> Mapping[Key, Row]:
        self.touch()
        rows = self.rows.rows
        return {key: rows[key] for key in keys if key in rows}

    def write(self, transaction: Transaction, kept: Sequence[Row], gone: Sequence[Key]) -> None:
        self.touch()
        transaction.changed.append(Changed(self.rows, kept, gone))

    def changes(self, kept: Sequence[Row], gone: Sequence[Key]) -> Sequence[Changed]:
        return [Changed(self.rows, kept, gone)] if kept or gone else []

    def generation(self, name: str) -> int:
        return self.generations.get(name, 0)

    def mark(self, _transaction: Transaction, _keys: Iterable[Key], _position: int) -> None:
        """The topics of states are not simulated."""

    def advance(self, transaction: Transaction, advance: Advance) -> None:
        self.touch()
        check_moved(self.knows(advance) or None, advance)
        transaction.advance(advance)

    def save(self, advance: Advance) -> None:
        self.touch()
        check_moved(self.knows(advance) or None, advance)
        self.database.save(self.node, advance, self.error)

    def knows(self, advance: Advance) -> bool:
        """Whether the rows are of the generation in which the position was asked for."""
        newest = self.database.generations[self.rows.table.name]
        return not advance.previous or self.generations.get(advance.name, newest) == newest

    def position(self, name: str) -> int:
        self.touch()
        self.generations[name] = self.database.generations[self.rows.table.name]
        return self.database.tracking.get(name, 0)


class MemoryLookups:
    """Rows for reactions, whichever they want."""

    def __init__(self, node: Node, database: Database) -> None:
        self.database = database
        self.touch = database.touching(node, SqlError)

    def fetch(self, wanted: Mapping[Lookup, Iterable[Hashable]]) -> LookupResults:
        self.touch()
        facts: dict[str, dict[Hashable, Sequence[Row]]] = {}
        for want, keys in wanted.items():
            rows, found = self.database.tables[want.projection], facts.setdefault(want.projection, {})
            for key in keys:
                if key not in found:
                    found[key] = rows.found(want.by, key, want.order_by, want.limit)
        return facts


class MemoryCoverage:
    """How far roles that read topics have come, as kafka/watermark.py asks it of PostgreSQL."""

    def __init__(self, node: Node, database: Database, topics: Mapping[str, Sequence[str]]) -> None:
        self.database = database
        self.touch = database.touching(node, OperationalError)
        self.topics = topics
        self._names: dict[str, list[tuple[str, TopicPartition]]] = {}
        self._known = 0  # so many partitions were published when the names were made

    def position(self, roles: Iterable[str]) -> int:
        self.touch()
        return self.covered(roles)

    def covered(self, roles: Iterable[str]) -> int:
        published, tracking = self.database.published, self.database.tracking
        covered = self.database.relay_position
        for role in roles:
            whole = tracking.get(role, 0)
            for name, topic_partition in self._places(role):
                position = published[topic_partition]
                if whole < position and (done := tracking.get(name, 0)) < position:
                    covered = min(covered, max(whole, done))
        return covered

    def _places(self, role: str) -> Sequence[tuple[str, TopicPartition]]:
        """Where the role reads, and what its position there is called."""
        published = self.database.published
        if self._known != len(published):
            self._names, self._known = {}, len(published)
        if role not in self._names:
            topic_partitions = [
                topic_partition for topic_partition in published if topic_partition.topic in self.topics[role]
            ]
            self._names[role] = [(f"{role}@{topic_partition}", topic_partition) for topic_partition in topic_partitions]
        return self._names[role]


class MemoryLeadership:
    """The lock of the active relay, as kafka/relay.py has it in PostgreSQL."""

    def __init__(self, node: Node, database: Database) -> None:
        self.node = node
        self.database = database
        self.touch = database.touching(node, psycopg.OperationalError)
        self.session: Session | None = None
        self.epoch = 0
        self._asked = -STANDBY_SECONDS

    def try_acquire(self) -> bool:
        now = self.node.simulation.now
        if now - self._asked < STANDBY_SECONDS:
            return False
        self._asked = now
        self.touch()
        session = Session(self.node, self.database)
        if not self.locked(session):
            return False
        self.session = session
        self.node.sessions.append(session)
        self.database.relay_epoch += 1
        self.epoch = self.database.relay_epoch
        return True

    def locked(self, session: Session, /) -> bool:
        lock = self.database.locks[RELAYING]
        if lock.owner is not None:
            return False
        lock.owner = session
        return True

    def release(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            session.end()


class Saved(NamedTuple):
    epoch: int
    previous: int
    position: int


class MemoryBooks:
    """What the relay keeps, by way of its session."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def position(self, session: Session) -> int:
        session.touch()
        return self.database.relay_position

    def published(self, session: Session, topics: Sequence[str]) -> dict[TopicPartition, int]:
        session.touch()
        return {
            topic_partition: position
            for topic_partition, position in self.database.published.items()
            if topic_partition.topic in topics
        }

    def begin_topic(self, session: Session, topic: str, partitions: int) -> None:
        session.touch()
        for partition in range(partitions):
            self.database.published.setdefault(TopicPartition(topic, partition), 0)

    def events(self, session: Session, after: int, limit: int) -> list[LogRow]:
        session.touch()
        first = bisect_right(self.database.positions, after)
        rows = self.database.log[first : first + limit]
        return [LogRow(r.id, str(r.originator_id), r.originator_version, r.topic, r.state) for r in rows]

    def save(
        self, session: Session, epoch: int, previous: int, position: int, last: Mapping[TopicPartition, int]
    ) -> None:
        session.touch()
        if not self.fits(Saved(epoch, previous, position)):
            raise LeadershipLost("another relay has moved the position")
        self.database.relay_position = position
        self.database.published.update(last)
        self.database.moves += 1
        session.node.touched(psycopg.OperationalError)

    def fits(self, saved: Saved, /) -> bool:
        return (saved.epoch, saved.previous) == (self.database.relay_epoch, self.database.relay_position)
