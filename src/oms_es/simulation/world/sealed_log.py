"""The sealed log of the simulated database: its tiles, its checkpoints, and its size.

Invariant: they change together, from the size that the sealer expects, or not at all.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import islice

from eventsourcing.persistence import Notification, OperationalError
from pydantic_core import to_json

from oms_es.memory.database import Database
from oms_es.memory.kept_codec import Kept
from oms_es.proof import checkpoints
from oms_es.proof.entries import entry
from oms_es.proof.notes import KEY_BYTES, SignerKey
from oms_es.proof.tiles import WIDTH, Tile
from oms_es.proof.tiles import Edge as GrowingEdge
from oms_es.proof.tree import EMPTY_ROOT, leaf_hash
from oms_es.simulation.nodes.node import Node
from oms_es.store.recorder import PositionLost
from oms_es.store.sealing.seals import Edge, Head, Seal, Unsealed, edge_of, signed

KEY = SignerKey("oms-es.simulation/log", bytes(KEY_BYTES))


class SealedLog:
    """The committed state. `on_seal` gets every head when it is committed."""

    def __init__(self, on_seal: Callable[[Head], None]) -> None:
        self.on_seal = on_seal
        self.head = Head(KEY.name, 0, 0)
        self.tiles: dict[Tile, bytes] = {}
        self.positions: dict[Tile, Sequence[int]] = {}
        self.notes = {0: str(signed(self.head, EMPTY_ROOT, KEY))}

    def commit(self, seal: Seal) -> None:
        self.head = seal.head
        self.tiles |= seal.tiles
        self.positions |= seal.positions
        self.notes[seal.head.size] = str(seal.checkpoint)
        self.on_seal(seal.head)

    def proves(self, log: Sequence[Notification]) -> bool:
        """Return whether the newest checkpoint covers exactly these events in this order."""
        tree = GrowingEdge()
        tree.extend([leaf_hash(entry(*_unsealed(row))) for row in log])
        _, checkpoint = checkpoints.read(self.notes[self.head.size])
        return (checkpoint.size, checkpoint.root) == (tree.size, tree.root())


class MemorySealing:
    """The sealed log for one node, with the interface that store/sealing/seals.py has for PostgreSQL."""

    error = OperationalError

    def __init__(self, node: Node, database: Database, sealed: SealedLog) -> None:
        self.node = node
        self.database = database
        self.sealed = sealed
        self.touch = database.touching(node, self.error)

    def key(self) -> SignerKey:
        self.touch()
        return KEY

    def head(self) -> Head:
        self.touch()
        return self.sealed.head

    def edge(self, size: int) -> Edge:
        self.touch()
        tiles = {tile: self.sealed.tiles[tile] for tile in edge_of(size) if tile in self.sealed.tiles}
        positions = self.sealed.positions.get(Tile(0, size // WIDTH), ())
        return Edge(tiles, positions[: size % WIDTH], self.sealed.notes.get(size, ""))

    def unsealed(self, position: int, limit: int) -> Sequence[Unsealed]:
        self.touch()
        first = bisect_right(self.database.positions, position)
        return [_unsealed(row) for row in islice(self.database.log, first, first + limit)]

    def seal(self, previous_size: int, seal: Seal) -> None:
        self.touch()
        if not self.continues(previous_size):
            raise PositionLost(f"the sealed log has no longer {previous_size} events")
        self.sealed.commit(seal)
        self.node.touched(self.error)

    def continues(self, previous_size: int) -> bool:
        return self.sealed.head.size == previous_size


def _unsealed(row: Notification) -> Unsealed:
    stored = to_json(row.state.recorded.event) if isinstance(row.state, Kept) else row.state
    return Unsealed(row.id, str(row.originator_id), row.originator_version, row.topic, sha256(stored).digest())
