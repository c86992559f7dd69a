"""Transactions of one client on the database in memory: its log, its positions, its read models.

Invariant: a transaction holds its locks until it ends, and changes the database only when it commits.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

import psycopg
from eventsourcing.persistence import Notification, OperationalError
from sqlalchemy import Table

from oms_es.kernel import Key, Row
from oms_es.memory.client import Client, outage
from oms_es.memory.database import APPENDING, Changed, Database, Lock
from oms_es.store.dead_letters import DeadLetter
from oms_es.store.encoding.codec import StoredRow
from oms_es.store.http.tables import Kept, KeyTaken
from oms_es.store.recorder import Advance, EventRow, Move, Snapshot, check_moved


class Transaction:
    """A transaction: its changes, and the locks that it holds until it ends. `begin`: the locks that it begins with."""

    def __init__(
        self, topic_partition: MemoryRecorder | MemoryRows, begin: Callable[[Transaction], None] | None
    ) -> None:
        self.client = topic_partition.client
        self.database = topic_partition.database
        self.touch = topic_partition.touch
        self.error = topic_partition.error
        self.begin = begin
        self.sessions = self.database.sessions
        self.locks: list[Lock] = []
        self.rows: list[Notification] = []
        self.moved: list[Advance | Move] = []
        self.changed: list[Changed] = []
        self.dead_letters: Sequence[DeadLetter] = ()
        self.answers: Sequence[Kept] = ()

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
        if failed is None and self.client.is_struck:
            self.client.touched(self.error)

    def lock(self, name: str) -> None:
        lock = self.database.locks[name]
        if lock.owner is not None and lock.owner is not self:
            self.database.wait_for(lock, self.client)
        lock.owner = self
        self.locks.append(lock)

    def advance(self, advance: Advance) -> None:
        """Move a position; another writer of the same position waits for this transaction to end."""
        self.lock(f"tracking/{advance.name}")
        check_moved(self.database.may_move(advance) or None, advance)
        self.moved.append(advance)

    def move(self, move: Move) -> bool:
        """Move one of many positions; return whether it may move."""
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
            self.client.committed()
        for move in self.moved:
            database.tracking[move.name] = move.position
            database.moves += 1
        for table, kept, gone in self.changed:
            for row in kept:
                table.put(row)
            for key in gone:
                table.drop(key)
        for dead_letter in self.dead_letters:
            database.dead_letters[dead_letter.source, dead_letter.payload] = dead_letter
        for answer in self.answers:
            database.answers[answer.caller, answer.key] = answer

    def end(self) -> None:
        for lock in self.locks:
            if lock.owner is self:
                lock.owner = None
                if lock.waiting:
                    self.database.release(lock)


class MemoryRecorder:
    """The log and the positions, with the interface that store/recorder.py has for PostgreSQL."""

    error = OperationalError

    def __init__(self, client: Client, database: Database) -> None:
        self.client = client
        self.database = database
        self.touch = database.touching(client, self.error)

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
        self.database.save(self.client, advance, self.error)

    def change(self, transaction: Transaction, changes: Sequence[Changed]) -> None:
        self.touch()
        transaction.changed += changes

    def move(self, transaction: Transaction, moves: Sequence[Move]) -> set[str]:
        self.touch()
        return {move.name for move in sorted(moves) if transaction.move(move)}

    def move_at_rest(self, moves: Sequence[Move]) -> set[str]:
        """Move positions, in the order of their names, as in PostgreSQL."""
        with self.moving() as transaction:
            return self.move(transaction, moves)

    def add_dead_letters(self, transaction: Transaction, dead_letters: Sequence[DeadLetter]) -> None:
        self.touch()
        transaction.dead_letters = dead_letters

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
        if position >= database.end:  # the most frequent case: nothing is new
            return ()
        self.touch()
        first = bisect_right(database.positions, position)
        last = len(database.positions) if stop is None else bisect_right(database.positions, stop)
        return database.log[first : min(last, first + limit)]


class MemoryAnswers:
    """The stored answers by idempotency key, with the interface that store/http/tables.py has for PostgreSQL."""

    error = OperationalError

    def __init__(self, client: Client, database: Database) -> None:
        self.database = database
        self.touch = database.touching(client, self.error)

    def under(self, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Kept]:
        self.touch()
        answers = self.database.answers
        return {key: answers[key] for key in keys if key in answers}

    def keep(self, transaction: Transaction, kept: Sequence[Kept], _now: datetime) -> None:
        self.touch()
        if any((one.caller, one.key) in self.database.answers for one in kept):
            raise KeyTaken
        transaction.answers = kept


class MemoryRows:
    """The rows of one read model, with the interface that processing/read_models/rows.py has for PostgreSQL."""

    error = psycopg.OperationalError

    def __init__(self, client: Client, database: Database, table: Table) -> None:
        self.client = client
        self.database = database
        self.rows = database.tables[table.name]
        self.generations: dict[str, int] = {}  # by the name of the position that was read
        self.touch = database.touching(client, self.error)

    def writing(self) -> Transaction:
        return Transaction(self, None)

    def lock(self, transaction: Transaction) -> None:
        self.touch()
        transaction.lock(f"rows/{self.rows.table.name}")

    def load(self, _transaction: Transaction | None, keys: Sequence[Key]) -> Mapping[Key, Row]:
        self.touch()
        rows = self.rows.rows
        return {key: rows[key] for key in keys if key in rows}

    def write(self, transaction: Transaction, new: Sequence[Row], kept: Sequence[Row], gone: Sequence[Key]) -> None:
        self.touch()
        transaction.changed.append(Changed(self.rows, [*new, *kept], gone))

    def changes(self, kept: Sequence[Row], gone: Sequence[Key]) -> Sequence[Changed]:
        return [Changed(self.rows, kept, gone)] if kept or gone else []

    def locked(self, transaction: Transaction, keys: Sequence[Key]) -> Mapping[Key, Row]:
        self.lock(transaction)
        return self.load(transaction, keys)

    def marks(self, _keys: Iterable[Key], _position: int) -> Sequence[Changed]:
        """Return nothing: topics of states are not simulated."""
        return ()

    def generation(self, name: str) -> int:
        return self.generations.get(name, 0)

    def mark(self, _transaction: Transaction, _keys: Iterable[Key], _position: int) -> None:
        """Do nothing: topics of states are not simulated."""

    def advance(self, transaction: Transaction, advance: Advance) -> None:
        self.touch()
        check_moved(self.knows(advance) or None, advance)
        transaction.advance(advance)

    def save(self, advance: Advance) -> None:
        self.touch()
        check_moved(self.knows(advance) or None, advance)
        self.database.save(self.client, advance, self.error)

    def knows(self, advance: Advance) -> bool:
        """Return whether the rows are of the generation in which the position was read."""
        newest = self.database.generations[self.rows.table.name]
        return not advance.previous or self.generations.get(advance.name, newest) == newest

    def position(self, name: str) -> int:
        self.touch()
        self.generations[name] = self.database.generations[self.rows.table.name]
        return self.database.tracking.get(name, 0)
