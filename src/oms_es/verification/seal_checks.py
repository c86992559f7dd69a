"""Is every event the one that was sealed, and is the sealed log the one that was signed?

Events and sealed leaves are read beside each other, in the order of positions, and the tree is made again from the
leaves: its root is compared with every checkpoint on the way, its tiles with those that are kept. What was changed
together with its leaf is between two checkpoints; what was changed together with both is found by a checkpoint that is
kept elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from typing import NamedTuple

from psycopg.rows import tuple_row

from oms_es.database.rows import Rows
from oms_es.proof import checkpoints, notes
from oms_es.proof.checkpoints import Checkpoint
from oms_es.proof.entries import StoredEvent
from oms_es.proof.notes import VerifierKey
from oms_es.proof.tiles import Edge, Tile, hashes_of
from oms_es.proof.tree import BadProof, leaf_hash
from oms_es.store.archive.reading import is_archived
from oms_es.store.encoding.codec import Codec
from oms_es.store.sealing.keys import NoLogKey, known
from oms_es.store.sealing.seals import Head, head_of
from oms_es.store.sealing.tables import CHECKPOINTS, TILES
from oms_es.verification.check import Check
from oms_es.verification.encryption_checks import EncryptedLater, encrypted_later
from oms_es.verification.explaining import what_was_changed

AROUND_MAX = 200
"""Events before one that was changed, which say what it may have been."""


class Leaf(NamedTuple):
    """As it was sealed."""

    position: int
    hash: bytes


class Signed(NamedTuple):
    """A checkpoint; `place`: where it is, in words. `held`: by a person who asks, apart from the database."""

    place: str
    text: str
    held: bool = False


class SealBook:
    """`leaves`: in the order in which they are kept. `keys`: one of them must have signed each checkpoint. `later`: of
    events that were encrypted after they were sealed."""

    def __init__(
        self,
        head: Head,
        leaves: Iterable[Leaf],
        signed: Sequence[Signed],
        keys: Sequence[VerifierKey],
        later: EncryptedLater,
    ) -> None:
        self.head = head
        self.later = later
        self.same = Check("every event is as it was sealed")
        self.signed = Check("every checkpoint is signed, and covers the sealed events")
        self.tiles = Check("every tile is computed from the sealed events")
        self.unsealed = 0
        self._leaves = iter(leaves)
        self._next = next(self._leaves, None)
        self._edge = Edge()
        self._full: dict[Tile, bytes] = {}
        self._last_good = 0
        self._around: deque[StoredEvent] = deque(maxlen=AROUND_MAX)
        self._expected: dict[int, list[tuple[Signed, Checkpoint]]] = {}
        for one in signed:
            self._expect(one, keys)
        self._compare_roots(0)

    @property
    def checks(self) -> tuple[Check, ...]:
        return self.same, self.later.check, self.signed, self.tiles

    def note(self, event: StoredEvent) -> None:
        """The next event of the log, as it is stored."""
        self._around.append(event)
        entry = self.later.sealed(event)
        while self._next and self._next.position < event.position:
            self._is_missing(self._next)
        if self._next and self._next.position == event.position:
            self._compare(event, entry, self._next)
        elif event.position <= self.head.position:
            self.same.expect(False, lambda: f"{_at(event)}: it was inserted after what is around it was sealed")
        else:
            self.unsealed += 1

    def close(self, kept: Mapping[Tile, bytes]) -> None:
        """Once the log is read. `kept`: every tile above the leaves."""
        while self._next:
            self._is_missing(self._next)
        self.later.close()
        self.tiles.expect(
            self._edge.size == self.head.size,
            lambda: f"{self.head.size} events are said to be sealed, and {self._edge.size} leaves are kept",
        )
        made = {**self._full, **{tile: hashes for tile, hashes in self._edge.tiles().items() if tile.level}}
        for tile in sorted({*made, *kept}):
            self.tiles.expect(
                kept.get(tile, b"") == made.get(tile, b""),
                partial("tile {0.level}/{0.number} is not made of the leaves below it".format, tile),
            )
        for size, expected in sorted(self._expected.items()):
            for one, _ in expected:
                self.signed.expect(
                    False,
                    partial(
                        "{} is of {} events, {} are sealed: the log was cut".format, one.place, size, self._edge.size
                    ),
                )

    def _expect(self, one: Signed, keys: Sequence[VerifierKey]) -> None:
        try:
            note, checkpoint = checkpoints.read(one.text)
            notes.require(note, keys)
            if checkpoint.origin != self.head.origin:
                raise BadProof(f"it is of the log {checkpoint.origin}, and this is {self.head.origin}")  # noqa: TRY301
        except BadProof as wrong:
            self.signed.expect(False, partial("{}: {}".format, one.place, str(wrong)))
        else:
            self._expected.setdefault(checkpoint.size, []).append((one, checkpoint))

    def _compare(self, event: StoredEvent, entry: bytes, leaf: Leaf) -> None:
        same = leaf_hash(entry) == leaf.hash
        self.same.expect(same, lambda: f"{_at(event)}: {self._what_is_wrong(event, leaf)}")
        self._take(leaf)

    def _what_is_wrong(self, event: StoredEvent, leaf: Leaf) -> str:
        if is_archived(event.state):
            return "its file of archived events is missing, or is not what was written"
        return what_was_changed(event, leaf.hash, self._around)

    def _is_missing(self, leaf: Leaf) -> None:
        self.same.expect(False, lambda: f"position {leaf.position}: an event that was sealed is not there")
        self._take(leaf)

    def _take(self, leaf: Leaf) -> None:
        edge = self._edge
        edge.add(leaf.hash)
        if edge.changed:
            self._full |= {tile: hashes for tile, hashes in edge.changed.items() if tile.level}
            edge.changed.clear()
        if edge.size in self._expected:
            self._compare_roots(leaf.position)
        self._next = next(self._leaves, None)

    def _compare_roots(self, position: int) -> None:
        expected = self._expected.pop(self._edge.size, ())
        if not expected:
            return
        root = self._edge.root()
        where = f"an event after position {self._last_good}, up to {position}, was changed together with its leaf"
        for one, checkpoint in expected:
            self.signed.expect(checkpoint.root == root, partial("{}: {}".format, one.place, where))
            if one.held:
                self.later.since(one.place, position)
        if all(checkpoint.root == root for _, checkpoint in expected):
            self._last_good = position


def leaves_of(rows: Iterable[tuple[bytes, Sequence[int] | None]]) -> Iterator[Leaf]:
    """Yield the leaves of tiles in order."""
    return chain.from_iterable(
        (Leaf(position, found) for position, found in zip(positions or (), hashes_of(bytes(hashes)), strict=False))
        for hashes, positions in rows
    )


def _at(event: StoredEvent) -> str:
    return f"position {event.position}, {event.type} in {event.stream}"


CHECKPOINTS_MAX = 10_000
"""The newest are checked: what is older is part of their tree."""
LEAVES = f"SELECT hashes, positions FROM {TILES} WHERE level = 0 ORDER BY number"
ABOVE = f"SELECT level, number, hashes FROM {TILES} WHERE level > 0"
NEWEST = f"SELECT size, note FROM {CHECKPOINTS} ORDER BY size DESC LIMIT {CHECKPOINTS_MAX}"
TILES_READ = 20


@contextmanager
def seal_book(rows: Rows, keys: Sequence[VerifierKey], against: Sequence[Signed], codec: Codec) -> Iterator[SealBook]:
    """Yield what checks seals, in one snapshot of the database. Without `keys` those that it names are trusted."""
    signed = [Signed(f"the checkpoint of {row['size']} events", row["note"]) for row in rows.execute(NEWEST.encode())]
    held = [one._replace(held=True) for one in against]
    named, wrong = _named(rows, keys)
    with rows.cursor(name="leaves", binary=True, row_factory=tuple_row) as leaves:
        leaves.itersize = TILES_READ
        leaves.execute(LEAVES.encode())
        head = _head(rows)
        begun, later = head or Head(_origin(signed), 0, 0), encrypted_later(rows, codec)
        book = SealBook(begun, leaves_of(leaves), [*signed, *held], named, later)
        book.tiles.expect(head is not None, lambda: "the log was never begun, or its head was deleted")
        book.signed.expect(not wrong, lambda: f"the database names no key: {wrong}")
        yield book
    book.close({Tile(row["level"], row["number"]): bytes(row["hashes"]) for row in rows.execute(ABOVE.encode())})


def _named(rows: Rows, keys: Sequence[VerifierKey]) -> tuple[Sequence[VerifierKey], str]:
    try:
        return keys or known(rows), ""
    except BadProof as wrong:
        return (), str(wrong)


def _head(rows: Rows) -> Head | None:
    with suppress(NoLogKey):
        return head_of(rows)
    return None


def _origin(signed: Sequence[Signed]) -> str:
    return signed[0].text.partition("\n")[0] if signed else ""
