"""What the sealer reads and writes in PostgreSQL.

Invariant: a tree grows only from the size that its sealer believes it has, in the transaction of its checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import psycopg
from eventsourcing.postgres import PostgresDatastore
from psycopg.rows import tuple_row

from oms_es.database.rows import Reading
from oms_es.proof.checkpoints import Checkpoint
from oms_es.proof.notes import Note, SignerKey
from oms_es.proof.tiles import HEIGHT, LEVELS_MAX, WIDTH, Tile
from oms_es.proof.tree import EMPTY_ROOT
from oms_es.store.recorder import EVENTS, PositionLost, idle_is_an_outage
from oms_es.store.sealing import keys
from oms_es.store.sealing.tables import CHECKPOINTS, HEAD, TILES


class Head(NamedTuple):
    """How far a log is sealed: so many events, the last at this position."""

    origin: str
    size: int
    position: int


class Unsealed(NamedTuple):
    """An event whose turn it is; `digest`: of what is stored."""

    position: int
    stream: str
    version: int
    type: str
    digest: bytes


class Edge(NamedTuple):
    """The tiles that are not full, the positions of the one at the foot, and the checkpoint of all of it."""

    tiles: Mapping[Tile, bytes]
    positions: Sequence[int]
    checkpoint: str


class Seal(NamedTuple):
    """What a sealed batch changes; `positions`: of each tile of leaves."""

    head: Head
    tiles: Mapping[Tile, bytes]
    positions: Mapping[Tile, Sequence[int]]
    checkpoint: Note


class Sealing(Protocol):
    """Where the sealed log is kept: PostgreSQL, or a simulation of it."""

    def key(self) -> SignerKey: ...

    def head(self) -> Head: ...

    def edge(self, size: int) -> Edge: ...

    def unsealed(self, position: int, limit: int) -> Sequence[Unsealed]:
        """Return events that are not sealed yet, in the order of their positions."""

    def seal(self, previous_size: int, seal: Seal) -> None:
        """Raises PositionLost if another sealer was there first; then nothing has changed."""


def signed(head: Head, root: bytes, key: SignerKey) -> Note:
    text = Checkpoint(head.origin, head.size, root).text
    return Note(text, (key.sign(text),))


def begin(connection: psycopg.Connection[Any], given: SignerKey | None) -> None:
    """Begin the sealed log with a signed checkpoint of no events, if none was begun; in the caller's transaction."""
    if connection.execute(f"SELECT 1 FROM {HEAD}".encode()).fetchone():
        return
    key = given or keys.generated()
    head = Head(key.name, 0, 0)
    keys.keep(connection, key, secret=given is None)
    connection.execute(f"INSERT INTO {HEAD} (origin, size, position) VALUES (%s, %s, %s)".encode(), head)
    _add_checkpoint(connection, head, signed(head, EMPTY_ROOT, key))


def _add_checkpoint(rows: Reading, head: Head, note: Note) -> None:
    rows.execute(
        f"INSERT INTO {CHECKPOINTS} (size, position, note) VALUES (%s, %s, %s)".encode(),
        [head.size, head.position, str(note)],
    )


def edge_of(size: int) -> list[Tile]:
    """Return the tiles that are not full in a tree of this size."""
    counts = [(level, size >> HEIGHT * level) for level in range(LEVELS_MAX)]
    return [Tile(level, count // WIDTH) for level, count in counts if count % WIDTH]


SEAL = f"""
WITH moved AS (
    UPDATE {HEAD} SET size = %(size)s, position = %(position)s WHERE size = %(previous)s RETURNING size
), kept AS (
    INSERT INTO {TILES} (level, number, hashes, positions)
    SELECT level, number, hashes, positions::bigint[] FROM moved, unnest(
        %(levels)s::smallint[], %(numbers)s::bigint[], %(hashes)s::bytea[], %(positions)s::text[]
    ) AS made(level, number, hashes, positions)
    ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes, positions = excluded.positions
)
INSERT INTO {CHECKPOINTS} (size, position, note) SELECT size, %(position)s, %(note)s FROM moved RETURNING size
"""
"""One statement, and one answer to wait for."""


class SqlSealing:
    def __init__(self, datastore: PostgresDatastore, given: SignerKey | None = None) -> None:
        self.datastore = datastore
        self.given = given

    def key(self) -> SignerKey:
        """Raises NoLogKey."""
        with self.datastore.transaction(commit=True) as curs:
            key = keys.signing(curs, self.given)
            if self.given:
                keys.keep(curs, key, secret=False)
            return key

    def head(self) -> Head:
        with self.datastore.cursor() as curs:
            return head_of(curs)

    def edge(self, size: int) -> Edge:
        with self.datastore.cursor() as curs:
            places = edge_of(size)
            rows = curs.execute(
                f"SELECT level, number, hashes, positions FROM {TILES} "
                "JOIN unnest(%s::smallint[], %s::bigint[]) AS asked(level, number) USING (level, number)",
                [[tile.level for tile in places], [tile.number for tile in places]],
            ).fetchall()
            note = curs.execute(f"SELECT note FROM {CHECKPOINTS} WHERE size = %s", [size]).fetchone()
        tiles = {Tile(row["level"], row["number"]): bytes(row["hashes"]) for row in rows}
        positions: list[int] = next((row["positions"] for row in rows if row["level"] == 0), [])
        return Edge(tiles, positions[: size % WIDTH], note["note"] if note else "")

    def unsealed(self, position: int, limit: int) -> Sequence[Unsealed]:
        """The database hashes what it has: it need not be brought here."""
        with self.datastore.cursor() as curs:
            curs.row_factory = tuple_row  # type: ignore[assignment] # no map is made of each of so many rows
            curs.execute(
                "SELECT notification_id, originator_id, originator_version, topic, sha256(state) "
                f"FROM {EVENTS} WHERE notification_id > %s ORDER BY notification_id LIMIT %s",
                [position, limit],
                prepare=True,
                binary=True,
            )
            return list(map(Unsealed._make, curs))

    def seal(self, previous_size: int, seal: Seal) -> None:
        tiles = sorted(seal.tiles.items())
        positions = [seal.positions.get(tile) for tile, _ in tiles]
        asked = {
            **seal.head._asdict(),
            "previous": previous_size,
            "note": str(seal.checkpoint),
            "levels": [tile.level for tile, _ in tiles],
            "numbers": [tile.number for tile, _ in tiles],
            "hashes": [hashes for _, hashes in tiles],
            "positions": [None if some is None else f"{{{','.join(map(str, some))}}}" for some in positions],
        }
        with idle_is_an_outage(), self.datastore.transaction(commit=True) as curs:
            if curs.execute(SEAL, asked, prepare=True).fetchone() is None:
                raise PositionLost(f"the sealed log has no longer {previous_size} events; read it again")


def head_of(rows: Reading) -> Head:
    """Raises NoLogKey."""
    found = rows.execute(f"SELECT origin, size, position FROM {HEAD}".encode()).fetchone()
    if found is None:
        raise keys.NoLogKey("this log has not been begun; run `oms-es migrate` once")
    return Head(found["origin"], found["size"], found["position"])
