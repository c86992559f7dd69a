"""The sealer: follows the log in the order of positions, hashes what is stored, and signs a checkpoint of it.

Appends do nothing for it. Any number of sealers may run: one that finds that another was first reads again where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from oms_es.processing.readers import NothingToSave, Stopped
from oms_es.proof import checkpoints
from oms_es.proof.entries import entry
from oms_es.proof.notes import SignerKey
from oms_es.proof.tiles import WIDTH, Edge, Tile
from oms_es.proof.tree import BadProof, leaf_hash
from oms_es.store.clock import SYSTEM_TIMING, Timing
from oms_es.store.recorder import PositionLost
from oms_es.store.sealing.keys import NoLogKey
from oms_es.store.sealing.seals import Head, Seal, Sealing, Unsealed, signed

SEAL_SECONDS = 5.0
"""How long events wait at most for a checkpoint, where there are few."""
SEALED_MAX = 10_000
"""Events that a checkpoint may add: where there are more, there are more checkpoints."""


class Sealer(NothingToSave):
    name = "sealer"
    batch_max = SEALED_MAX

    def __init__(self, sealing: Sealing, timing: Timing = SYSTEM_TIMING, sealed_max: int = SEALED_MAX) -> None:
        self.sealing = sealing
        self.timing = timing
        self.sealed_max = sealed_max
        self._looked = -SEAL_SECONDS
        self._key: SignerKey | None = None
        self._place: tuple[Head, Edge, list[int]] | None = None

    def step(self) -> int:
        if self.timing.monotonic() - self._looked < SEAL_SECONDS:
            return 0
        self._looked = self.timing.monotonic()
        try:
            sealed = self.seal()
        except NoLogKey as missing:
            raise Stopped({self.name: missing}) from missing
        if sealed >= self.sealed_max:
            self._looked = -SEAL_SECONDS
        return min(1, sealed)

    def seek(self) -> None:
        """The key is asked for when there is something to sign: a process that only appends needs none."""
        self._place = None

    def seal(self) -> int:
        """The next events; how many. Raises PositionLost, NoLogKey, Stopped."""
        head, edge, positions = self._place or self._found()
        events = self.sealing.unsealed(head.position, self.sealed_max)
        if not events:
            self._place = head, edge, positions
            return 0
        self._place = None  # until it is known that this is kept
        grown = self._grown(edge, positions, events)
        sealed_head = Head(head.origin, edge.size, events[-1].position)
        self._key = self._key or self.sealing.key()
        tiles, checkpoint = edge.tiles(), signed(sealed_head, edge.root(), self._key)
        self.sealing.seal(head.size, Seal(sealed_head, tiles, grown, checkpoint))
        edge.changed.clear()
        self._place = sealed_head, edge, list(grown.get(Tile(0, edge.size // WIDTH), ()))
        return len(events)

    def has_more(self) -> bool:
        return bool(self.sealing.unsealed(self.sealing.head().position, 1))

    def seal_all(self, progress: Callable[[int], None] = lambda _position: None) -> int:
        """Seal until nothing is left; return roughly how many events. `progress` gets the position reached."""
        total, sealed = 0, self.sealed_max
        while sealed >= self.sealed_max:
            sealed = self._seal_or_seek()
            total += sealed
            progress(self._place[0].position if self._place else 0)
        return total

    def _seal_or_seek(self) -> int:
        try:
            return self.seal()
        except PositionLost:
            self.seek()
            return self.sealed_max

    def _found(self) -> tuple[Head, Edge, list[int]]:
        """Nothing is signed that does not continue what was signed last. Raises Stopped."""
        head = self.sealing.head()
        kept = self.sealing.edge(head.size)
        try:
            edge = Edge(head.size, kept.tiles.__getitem__)
            _, last = checkpoints.read(kept.checkpoint)
            holds = (last.origin, last.size, last.root) == (head.origin, edge.size, edge.root())
        except (KeyError, BadProof):
            holds = False
        if not holds or len(kept.positions) != head.size % WIDTH:
            raise Stopped({self.name: BadProof("the sealed log was changed; `oms-es audit check-log` says where")})
        return head, edge, list(kept.positions)

    def _grown(self, edge: Edge, positions: Sequence[int], events: Sequence[Unsealed]) -> dict[Tile, list[int]]:
        """The positions of each tile of leaves that grows; the edge has grown by the events."""
        grown = {}
        first = Tile(0, edge.size // WIDTH)
        every = [*positions, *(event.position for event in events)]
        for at in range(0, len(every), WIDTH):
            grown[Tile(0, first.number + at // WIDTH)] = every[at : at + WIDTH]
        edge.extend([leaf_hash(entry(*event)) for event in events])
        return grown
