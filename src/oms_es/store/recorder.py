"""The log in PostgreSQL: eventsourcing's recorder, with our appends. All SQL that writes history stands here.

Invariant: events are numbered in the order in which they are committed, without a gap inside a transaction; a position
moves only from where its owner left it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol

import psycopg
from eventsourcing.persistence import InternalError, Notification, OperationalError
from eventsourcing.postgres import PostgresDatastore
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import IdleInTransactionSessionTimeout
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.store.archive.reading import ReadingArchived, whole
from oms_es.store.dead_letters import DeadLetter, add_dead_letters
from oms_es.store.encoding.codec import StoredRow

EVENTS = "oms_events"
TRACKING = "oms_tracking"
SNAPSHOTS = "oms_snapshots"
APPEND_LOCK = 0x6F6D735F  # "oms_": the one lock under which events are numbered
MIGRATION_LOCK = APPEND_LOCK + 1
CONNECTIONS_MAX = 4
IDLE_SECONDS_MAX = 10.0
"""A transaction whose owner is silent for longer ends: a frozen process must not hold the append lock for ever."""

ALWAYS_BY_INDEX = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
"""Every query of the store is a bounded number of index look-ups. A plan made while the tables were small would read
them whole, and a prepared one would go on doing so when they are large."""

IN_UTC = "-c timezone=UTC"
"""In a time zone of its own a server writes moments at the ends of the calendar in years that no program can read."""


class Advance(NamedTuple):
    """A consumer's position moves from `previous` to `position`, or another process has moved it."""

    name: str
    previous: int
    position: int


class Move(NamedTuple):
    """An advance among others of one statement; `generation`: of the rows that the position is of, if it is of rows."""

    name: str
    previous: int
    position: int
    generation: int | None = None


class Change(NamedTuple):
    """A statement that changes rows of one table, and the JSON of them, which it calls `rows`."""

    statement: str
    rows: str


class EventRow(NamedTuple):
    """An event as the log has it, under the library's names: a tuple, because one is made for every event."""

    originator_id: str
    originator_version: int
    topic: str
    state: bytes


class PositionLost(OmsError):
    """Another worker moved this position: what was decided from it must be dropped and read again."""

    code = "position_lost"
    exit_code = Code.UNAVAILABLE
    status = HTTPStatus.SERVICE_UNAVAILABLE


def check_moved(moved: object | None, advance: Advance) -> None:
    """Raises PositionLost if the compare-and-set found another position than ours."""
    if moved is None:
        raise PositionLost(f"{advance.name} is no longer at position {advance.previous}; read it again")


class Snapshot(NamedTuple):
    stream: str
    version: int
    topic: str
    state: bytes


class Recording(Protocol):
    """Where the store keeps history: PostgreSQL, or a simulation of it.

    `transaction` is what `writing` gives: all that is done with it is committed together, or not at all.
    """

    def writing(self) -> AbstractContextManager[Any]: ...

    def moving(self) -> AbstractContextManager[Any]:
        """A transaction that appends nothing, and so holds no lock."""

    def end(self, transaction: Any = None, /) -> int: ...

    def append(self, transaction: Any, rows: Sequence[EventRow]) -> Sequence[int]: ...

    def advance(self, transaction: Any, advance: Advance) -> None: ...

    def save(self, advance: Advance) -> None: ...

    def change(self, transaction: Any, changes: Sequence[Any]) -> None:
        """Change rows of several tables; each table may occur once among the changes."""

    def move(self, transaction: Any, moves: Sequence[Move]) -> set[str]:
        """Move positions; returns the names of those that were at the expected value and have moved."""

    def move_at_rest(self, moves: Sequence[Move]) -> set[str]:
        """The same, of positions past what concerns no reader: a crash may take it back."""

    def add_dead_letters(self, transaction: Any, dead_letters: Sequence[DeadLetter]) -> None: ...

    def stale(self, transaction: Any, expected: Mapping[str, int], /) -> list[str]: ...

    def tails(self, after: Mapping[str, int], transaction: Any = None, /) -> Iterator[StoredRow]: ...

    def position(self, name: str) -> int: ...

    def snapshots(self, streams: Sequence[str]) -> list[Snapshot]: ...

    def keep_snapshot(self, snapshot: Snapshot) -> None: ...

    def stream(self, stream: str) -> list[Notification]: ...

    def stored(self, stream: str, version: int) -> EventRow | None: ...

    def after(self, position: int, limit: int, stop: int | None = None) -> Sequence[Notification]: ...


@contextmanager
def idle_is_an_outage() -> Iterator[None]:
    """A transaction that the server ended because we were silent did not happen; the libraries say `internal error`."""
    try:
        yield
    except IdleInTransactionSessionTimeout as error:
        raise OperationalError(str(error)) from error
    except InternalError as error:
        if isinstance(error.__cause__, IdleInTransactionSessionTimeout):
            raise OperationalError(str(error.__cause__)) from error
        raise


CONNECT_SECONDS_MAX = 5.0
"""How long a caller waits for a connection."""


def datastore_of(
    database_url: str, connections_max: int = CONNECTIONS_MAX, connect_seconds_max: float = CONNECT_SECONDS_MAX
) -> PostgresDatastore:
    """The pool of connections. A URL or a key=value conninfo, whatever libpq understands."""
    datastore = PostgresDatastore(
        dbname="",
        host="",
        port="",
        user="",
        password="",
        originator_id_type="text",
        connect_timeout=connect_seconds_max,
        max_overflow=connections_max - 1,
        idle_in_transaction_session_timeout=IDLE_SECONDS_MAX,
    )
    parameters = conninfo_to_dict(database_url)
    options = f"{parameters.get('options') or ''} {ALWAYS_BY_INDEX} {IN_UTC}".strip()
    datastore.pool.kwargs = {**parameters, "options": options, "row_factory": dict_row}
    return datastore


class Recorder(ReadingArchived):
    """Inserts plain column arrays: a sixth of the client time of composite types."""

    def __init__(self, datastore: PostgresDatastore) -> None:
        super().__init__(datastore, events_table_name=EVENTS, tracking_table_name=TRACKING)
        self.sql_create_statements += [
            SQL(
                "CREATE TABLE IF NOT EXISTS {} (stream text PRIMARY KEY, version bigint NOT NULL, topic text NOT NULL,"
                " state bytea NOT NULL, taken_at timestamptz NOT NULL DEFAULT now())"
            ).format(Identifier(SNAPSHOTS)),
            SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS generation bigint NOT NULL DEFAULT 0").format(
                Identifier(TRACKING)
            ),
        ]

    @contextmanager
    def writing(self) -> Iterator[psycopg.Cursor[Any]]:
        """A transaction that holds the append lock: a transaction-level lock, which ANALYZE and VACUUM do not feel."""
        with idle_is_an_outage(), self.datastore.transaction(commit=True) as curs:
            curs.execute("SELECT pg_advisory_xact_lock(%s)", [APPEND_LOCK], prepare=True)
            yield curs

    @contextmanager
    def moving(self) -> Iterator[psycopg.Cursor[Any]]:
        with idle_is_an_outage(), self.datastore.transaction(commit=True) as curs:
            yield curs

    def end(self, curs: psycopg.Cursor[Any] | None = None) -> int:
        """The position of the newest event."""
        with self.datastore.cursor() if curs is None else nullcontext(curs) as reading:
            row = reading.execute(f"SELECT max(notification_id) AS id FROM {EVENTS}", prepare=True).fetchone()
        return (row and row["id"]) or 0

    def append(self, curs: psycopg.Cursor[Any], rows: Sequence[EventRow]) -> Sequence[int]:
        """Insert the rows and wake the readers; the notification ids come back in the order of the rows.

        Under the append lock they are without a gap: the first and the last suffice.
        """
        curs.execute(
            f"WITH appended AS (INSERT INTO {EVENTS} (originator_id, originator_version, topic, state) "
            "SELECT * FROM unnest(%b::text[], %b::bigint[], %b::text[], %b::bytea[]) RETURNING notification_id) "
            "SELECT min(notification_id) AS first, max(notification_id) AS last,"
            f" pg_notify('{EVENTS}', '') FROM appended",
            [list(column) for column in zip(*rows, strict=True)],
            prepare=True,
        )
        numbers = curs.fetchone()
        assert numbers
        ids = range(numbers["first"], numbers["last"] + 1)
        if len(ids) != len(rows):
            raise OperationalError(
                f"positions {numbers['first']} to {numbers['last']} were given to {len(rows)} events"
            )
        return ids

    def advance(self, curs: psycopg.Cursor[Any], advance: Advance) -> None:
        """Compare and set. Asking only for a greater position would apply a zombie's half batch twice."""
        curs.execute(ADVANCE if advance.previous else ADVANCE_FIRST, advance._asdict(), prepare=True)
        check_moved(curs.fetchone(), advance)

    def save(self, advance: Advance) -> None:
        """Move a position without appending anything, for which no lock is needed."""
        with self.datastore.cursor() as curs:
            curs.execute(PASS if advance.previous else PASS_FIRST, advance._asdict(), prepare=True)
            check_moved(curs.fetchone(), advance)

    def change(self, curs: psycopg.Cursor[Any], changes: Sequence[Change]) -> None:
        """Apply the changes in one statement, as each would be a round trip."""
        named = [
            f"change_{i} AS ({change.statement.replace('%(rows)s', f'%(rows_{i})s')} RETURNING 1)"
            for i, change in enumerate(changes)
        ]
        rows = {f"rows_{i}": change.rows for i, change in enumerate(changes)}
        curs.execute(f"WITH {', '.join(named)} SELECT".encode(), rows, prepare=True)

    def move(self, curs: psycopg.Cursor[Any], moves: Sequence[Move]) -> set[str]:
        curs.execute(MOVE_ALL, _columns(moves), prepare=True)
        return {row["application_name"] for row in curs}

    def move_at_rest(self, moves: Sequence[Move]) -> set[str]:
        with self.datastore.cursor() as curs:
            curs.execute(MOVE_AT_REST, _columns(moves), prepare=True)
            return {row["application_name"] for row in curs}

    def add_dead_letters(self, curs: psycopg.Cursor[Any], dead_letters: Sequence[DeadLetter]) -> None:
        add_dead_letters(curs, dead_letters)

    def position(self, name: str) -> int:
        return self.max_tracking_id(name) or 0

    def stale(self, curs: psycopg.Cursor[Any], expected: Mapping[str, int]) -> list[str]:
        """The streams that have grown beyond the given versions."""
        curs.execute(
            "SELECT believed.stream FROM unnest(%b::text[], %b::bigint[]) AS believed(stream, version) "
            f"JOIN {EVENTS} ON originator_id = believed.stream AND originator_version = believed.version + 1",
            [list(expected), list(expected.values())],
            prepare=True,
        )
        return [row["stream"] for row in curs]

    def tails(self, after: Mapping[str, int], curs: psycopg.Cursor[Any] | None = None) -> Iterator[EventRow]:
        """Each stream's events after the given version, in order, all in one query."""
        if curs is None:
            with self.datastore.cursor() as own:
                yield from self.tails(after, own)
            return
        curs.execute(
            "SELECT originator_id, originator_version, topic, state "
            "FROM unnest(%b::text[], %b::bigint[]) AS known(stream, version) "
            f"JOIN {EVENTS} ON originator_id = known.stream AND originator_version > known.version "
            "ORDER BY originator_id, originator_version",
            [list(after), list(after.values())],
            prepare=True,
        )
        for row in curs:
            yield event_row(row)

    def stream(self, stream: str) -> list[Notification]:
        """Every event of a stream, in order."""
        with self.datastore.cursor() as curs:
            curs.execute(f"SELECT * FROM {EVENTS} WHERE originator_id = %s ORDER BY originator_version", [stream])
            return [notification(row) for row in curs]

    def stored(self, stream: str, version: int) -> EventRow | None:
        found = self.select_events(stream, gt=version - 1, lte=version)
        return EventRow(stream, found[0].originator_version, found[0].topic, found[0].state) if found else None

    def after(self, position: int, limit: int, stop: int | None = None) -> Sequence[Notification]:
        """The log after a position, up to another."""
        found: Sequence[Notification] = self.select_notifications(position, limit, stop=stop, inclusive_of_start=False)
        return found

    def snapshots(self, streams: Sequence[str]) -> list[Snapshot]:
        with self.datastore.cursor() as curs:
            curs.execute(
                f"SELECT stream, version, topic, state FROM {SNAPSHOTS} WHERE stream = ANY(%b)",
                [list(streams)],
                prepare=True,
            )
            return [Snapshot(row["stream"], row["version"], row["topic"], bytes(row["state"])) for row in curs]

    def keep_snapshot(self, snapshot: Snapshot) -> None:
        """One per stream, the newest: an older one is of no use. One that a crash takes back is taken again."""
        with self.datastore.transaction(commit=True) as curs:
            curs.execute(
                f"INSERT INTO {SNAPSHOTS} AS kept (stream, version, topic, state) VALUES (%s, %s, %s, %s) "
                "ON CONFLICT (stream) DO UPDATE SET version = excluded.version, topic = excluded.topic, "
                "state = excluded.state, taken_at = now() "
                "WHERE kept.version < excluded.version OR kept.topic <> excluded.topic "
                f"RETURNING stream{NO_WAIT_FOR_THE_DISK}",
                snapshot,
            )


def event_row(row: Mapping[str, Any]) -> EventRow:
    return EventRow(row["originator_id"], row["originator_version"], row["topic"], whole(bytes(row["state"])))


def _columns(moves: Sequence[Move]) -> dict[str, list[Any]]:
    return dict(
        zip(("names", "previous", "positions", "generations"), map(list, zip(*moves, strict=True)), strict=True)
    )


def notification(row: Mapping[str, Any]) -> Notification:
    return Notification(*event_row(row), id=row["notification_id"])


REWRITE = f"""
UPDATE {EVENTS} AS kept SET state = fresh.state
FROM unnest(%s::bigint[], %s::text[], %s::bytea[]) AS fresh(position, before, state)
WHERE kept.notification_id = fresh.position AND encode(sha256(kept.state), 'hex') = fresh.before
"""
"""Only for what is encrypted where it stands, which a record in the log says in the same transaction, and for what is
archived, of which the row then has the place, or restored."""
MOVED = " RETURNING notification_id"
MOVE = f"""
UPDATE {TRACKING} SET notification_id = %(position)s
WHERE application_name = %(name)s AND notification_id = %(previous)s AND %(position)s >= %(previous)s
"""
"""A position never goes back: what was taken would be taken again."""
ADVANCE = MOVE + MOVED
ADVANCE_FIRST = f"""
INSERT INTO {TRACKING} (application_name, notification_id) VALUES (%(name)s, %(position)s)
ON CONFLICT (application_name) DO NOTHING RETURNING notification_id
"""
NO_WAIT_FOR_THE_DISK = ", set_config('synchronous_commit', 'off', true)"
"""What moves past events of no interest may be taken back by a crash of the database: they are passed again."""
PASS, PASS_FIRST = ADVANCE + NO_WAIT_FOR_THE_DISK, ADVANCE_FIRST + NO_WAIT_FOR_THE_DISK

MOVE_ALL_OF = f"""
WITH asked AS (
    SELECT * FROM unnest(%(names)s::text[], %(previous)s::bigint[], %(positions)s::bigint[], %(generations)s::bigint[])
    AS asked(name, previous, position, generation)
), held AS (
    SELECT application_name FROM {TRACKING} WHERE application_name = ANY(%(names)s::text[])
    ORDER BY application_name FOR UPDATE
), begun AS (
    INSERT INTO {TRACKING} (application_name, notification_id)
    SELECT name, position FROM asked WHERE previous = 0 ORDER BY name
    ON CONFLICT (application_name) DO NOTHING RETURNING application_name
), moved AS (
    UPDATE {TRACKING} AS kept SET notification_id = asked.position FROM held JOIN asked ON name = application_name
    WHERE kept.application_name = held.application_name AND asked.previous > 0
    AND kept.notification_id = asked.previous AND asked.position >= asked.previous
    AND kept.generation = coalesce(asked.generation, kept.generation)
    RETURNING kept.application_name
)
SELECT application_name{{}} FROM (SELECT * FROM begun UNION ALL SELECT * FROM moved) AS done
"""
"""Rows are locked in the order of their names: two that move the same positions do not wait for each other."""
MOVE_ALL, MOVE_AT_REST = MOVE_ALL_OF.format(""), MOVE_ALL_OF.format(NO_WAIT_FOR_THE_DISK)
