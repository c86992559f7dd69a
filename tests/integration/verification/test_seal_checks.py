"""Every change of the log is found and named: of every field of every envelope and event, one at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from golden.write import HERE
from oms_es.processing.sealer import Sealer
from oms_es.proof.entries import StoredEvent
from oms_es.proof.notes import SignerKey
from oms_es.proof.tiles import Tile
from oms_es.proof.tree import EMPTY_ROOT
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec, event_id_of
from oms_es.store.sealing.seals import Edge, Head, Seal, Unsealed, signed
from oms_es.verification import seal_checks
from oms_es.verification.encryption_checks import EncryptedLater
from oms_es.verification.seal_checks import SealBook, Signed, leaves_of

KEY = SignerKey("log.example", bytes(range(32)))
BATCH = 40
OTHER_VALUES = (None, True, 7, "x")


class Kept:
    """The sealed log of a list of events."""

    def __init__(self, events: Sequence[StoredEvent]) -> None:
        self.events = events
        self.now = Head(KEY.name, 0, 0)
        self.tiles: dict[Tile, bytes] = {}
        self.positions: dict[Tile, Sequence[int]] = {}
        self.notes = {0: str(signed(self.now, EMPTY_ROOT, KEY))}

    def key(self) -> SignerKey:
        return KEY

    def head(self) -> Head:
        return self.now

    def edge(self, size: int) -> Edge:
        last = self.positions.get(Tile(0, size // 256), ())
        return Edge(self.tiles, last[: size % 256], self.notes[size])

    def unsealed(self, position: int, limit: int) -> Sequence[Unsealed]:
        later = [event for event in self.events if event.position > position][:limit]
        return [Unsealed(*event[:4], event.digest) for event in later]

    def seal(self, previous_size: int, seal: Seal) -> None:
        assert previous_size == self.now.size
        self.now = seal.head
        self.tiles |= seal.tiles
        self.positions |= seal.positions
        self.notes[seal.head.size] = str(seal.checkpoint)

    def checked(self, events: Sequence[StoredEvent]) -> SealBook:
        foot = [(self.tiles[tile], self.positions[tile]) for tile in sorted(self.positions)]
        notes = [Signed(f"checkpoint {size}", note) for size, note in self.notes.items()]
        book = SealBook(self.now, leaves_of(foot), notes, [KEY.verifier], nothing_later())
        for event in events:
            book.note(event)
        book.close({tile: hashes for tile, hashes in self.tiles.items() if tile.level})
        return book


def nothing_later() -> EncryptedLater:
    """Return what is asked of a log whose events were never encrypted afterwards."""
    return EncryptedLater([], Codec(EVENTS), ())


def written(event: Mapping[str, Any], envelope: Mapping[str, Any]) -> bytes:
    return json.dumps({"event": event, **envelope}, ensure_ascii=False, separators=(",", ":")).encode()


def history() -> list[StoredEvent]:
    """Return one event of every type, with every field."""
    events: list[StoredEvent] = []
    for number, path in enumerate(sorted(HERE.glob("*.json")), 1):
        stream, version = f"stream-{number % 7}", (number - 1) // 7 + 1
        envelope = {
            "schema_version": 1,
            "event_id": str(event_id_of(stream, version)),
            "recorded_at": f"2026-01-02T03:{number // 60:02}:{number % 60:02}Z",
            "caused_by": str(event_id_of("stream-1", 1)) if number > 1 else None,
            "correlation_id": f"order-{number}",
            "actor": f"consumer-{number % 5}",
        }
        state = written(json.loads(path.read_text())["whole"], envelope)
        events.append(StoredEvent(2 * number, stream, version, path.name.partition(".")[0], state))
    return events


@pytest.fixture(scope="module")
def events() -> list[StoredEvent]:
    return history()


@pytest.fixture(scope="module")
def kept(events: list[StoredEvent]) -> Kept:
    kept = Kept(events)
    assert Sealer(kept, sealed_max=BATCH).seal_all() == len(events)
    return kept


def failed(book: SealBook) -> list[str]:
    return [difference for check in book.checks for difference in check.differences]


def test_what_was_not_changed_passes_and_every_question_was_asked(kept: Kept, events: list[StoredEvent]) -> None:
    book = kept.checked(events)
    assert failed(book) == []
    assert book.same.checked == len(events) > 150
    assert book.signed.checked == len(kept.notes) == 1 - (-len(events) // BATCH)
    assert not book.unsealed
    later = StoredEvent(9_999, "stream-1", 99, "OrderPlaced", b"{}")
    assert failed(book := kept.checked([*events, later])) == []
    assert book.unsealed == 1


def other(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from ({**value, name: changed} for changed in other(inner))
    elif isinstance(value, list):
        yield [*value, *value[:1]] if value else [None]
        for at, inner in enumerate(value):
            yield from ([*value[:at], changed, *value[at + 1 :]] for changed in other(inner))
    else:
        yield next(one for one in OTHER_VALUES if one != value or type(one) is not type(value))


def changes(event: StoredEvent) -> Iterator[tuple[str, StoredEvent]]:
    """Each field of what is stored, of its envelope, and of the event in it; one left out; and one byte."""
    yield "stream", event._replace(stream=event.stream + "x")
    yield "version", event._replace(version=event.version + 1)
    yield "type", event._replace(type="OrderPlaced" if event.type != "OrderPlaced" else "OrderHeld")
    body = json.loads(event.state)
    told = body.pop("event")
    for name in body:
        yield name, event._replace(state=written(told, {**body, name: next(other(body[name]))}))
    for changed in other(told):
        yield "payload", event._replace(state=written(changed, body))
    for name in told:
        yield "payload", event._replace(state=written({key: told[key] for key in told if key != name}, body))
    yield "a byte", event._replace(state=event.state + b" ")


def test_any_field_of_any_event_that_is_changed_is_found_by_its_position(
    kept: Kept, events: list[StoredEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leaves are looked at around the change only, and what it was before is asked elsewhere: there are thousands."""
    monkeypatch.setattr(seal_checks, "what_was_changed", lambda *_: "changed")
    foot = list(leaves_of((kept.tiles[tile], kept.positions[tile]) for tile in sorted(kept.positions)))
    tried = 0
    for at, event in enumerate(events):
        for field, changed in changes(event):
            tried += 1
            assert changed != event
            book = SealBook(kept.now, foot[max(0, at - 1) : at + 1], [], [], nothing_later())
            for one in [*events[max(0, at - 1) : at], changed]:
                book.note(one)
            (difference,) = failed(book)
            assert difference.startswith(f"position {event.position}, "), (field, difference)
    assert tried > 2_000


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("actor", "cli:mallory"),
        ("event_id", str(event_id_of("else", 1))),
        ("caused_by", None),
        ("recorded_at", "2020-01-01T00:00:00Z"),
        ("schema_version", 9),
    ],
)
def test_what_an_envelope_said_before_is_named(
    kept: Kept, events: list[StoredEvent], field: str, value: object
) -> None:
    """Where it is known from around it. Written otherwise, as PostgreSQL's own functions do."""
    at = place_of(events, "StockReserved")
    event = events[at]
    body = json.loads(event.state)
    before = body[field]
    if field == "recorded_at":  # of one transaction
        other = json.loads(events[at - 1].state)
        twin = events[at - 1]._replace(state=json.dumps({**other, "recorded_at": before}).encode())
        events = [*events[: at - 1], twin, *events[at:]]
        kept = resealed(events)
    changed = event._replace(state=json.dumps({**body, field: value}, sort_keys=True).encode())
    (difference,) = failed(kept.checked([*events[:at], changed, *events[at + 1 :]]))
    assert difference.endswith(f": its {field} was {before} when it was sealed")


def place_of(events: Sequence[StoredEvent], kind: str) -> int:
    return next(at for at, event in enumerate(events) if event.type == kind)


def test_what_was_moved_renamed_or_written_otherwise_is_named(kept: Kept, events: list[StoredEvent]) -> None:
    at = place_of(events, "StockReserved")
    one, two = events[at], events[at + 1]
    swapped = [two._replace(position=one.position), one._replace(position=two.position)]
    found = failed(kept.checked([*events[:at], *swapped, *events[at + 2 :]]))
    assert found[1].endswith(f"its place was that of the event at position {one.position} when it was sealed")
    for changed, said in (
        (one._replace(type="OrderHeld"), f"its type was {one.type} when"),
        (one._replace(version=one.version + 9), f"its version was {one.version} when"),
        (one._replace(stream=two.stream), f"its stream was {one.stream} when"),
        (one._replace(state=json.dumps(json.loads(one.state)).encode()), "its bytes were written otherwise"),
        (one._replace(state=b"\xff"), "its payload was changed"),
    ):
        (difference,) = failed(kept.checked([*events[:at], changed, *events[at + 1 :]]))
        assert said in difference
    stock = one._replace(stream="stock-TEA-250G@berlin")
    elsewhere = [*events[:at], stock._replace(stream="stock-TEA-250G@ghent"), *events[at + 1 :]]
    (difference,) = failed(resealed([*events[:at], stock, *events[at + 1 :]]).checked(elsewhere))
    assert difference.endswith("its stream was stock-TEA-250G@berlin when it was sealed")


def test_what_is_deleted_inserted_or_cut_off_is_found_by_its_position(kept: Kept, events: list[StoredEvent]) -> None:
    assert failed(kept.checked([*events[:60], *events[61:]])) == ["position 122: an event that was sealed is not there"]
    inserted = StoredEvent(121, "stream-1", 99, "OrderPlaced", b"{}")
    (difference,) = failed(kept.checked([*events[:60], inserted, *events[60:]]))
    assert difference.startswith("position 121, OrderPlaced in stream-1: it was inserted")
    assert [difference.partition(":")[0] for difference in failed(kept.checked(events[:-2]))] == [
        f"position {event.position}" for event in events[-2:]
    ]


def resealed(events: Sequence[StoredEvent], size_max: int = BATCH) -> Kept:
    """Reseal as an attacker would who knows the code, and has every right on the database and its key."""
    kept = Kept(events)
    Sealer(kept, sealed_max=size_max).seal_all()
    return kept


def test_what_is_changed_with_its_leaf_is_between_two_checkpoints(kept: Kept, events: list[StoredEvent]) -> None:
    changed = [*events[:60], events[60]._replace(state=b"{}"), *events[61:]]
    forged = resealed(changed)
    forged.notes = kept.notes
    found = failed(forged.checked(changed))
    assert found[0] == "checkpoint 80: an event after position 80, up to 160, was changed together with its leaf"
    forged.tiles = {**kept.tiles, Tile(0, 0): forged.tiles[Tile(0, 0)]}
    assert failed(forged.checked(changed))


@pytest.mark.parametrize("kind", ["changed", "deleted", "inserted", "cut", "another order"])
def test_anyone_who_holds_an_old_checkpoint_finds_what_was_sealed_and_signed_again(
    kept: Kept, events: list[StoredEvent], kind: str
) -> None:
    one, two = events[60], events[61]
    rewritten = {
        "changed": [*events[:60], one._replace(state=b"{}"), *events[61:]],
        "deleted": [*events[:60], *events[61:]],
        "inserted": [*events[:60], one._replace(position=one.position - 1), *events[60:]],
        "cut": events[:60],
        "another order": [*events[:60], two._replace(position=one.position), one._replace(position=two.position)],
    }[kind]
    forged = resealed(rewritten)
    assert failed(forged.checked(rewritten)) == []
    held = Signed("the auditor's", kept.notes[len(events)])
    book = SealBook(
        forged.now,
        leaves_of([(forged.tiles[tile], forged.positions[tile]) for tile in sorted(forged.positions)]),
        [Signed(str(size), note) for size, note in forged.notes.items()] + [held],
        [KEY.verifier],
        nothing_later(),
    )
    for event in rewritten:
        book.note(event)
    book.close({tile: hashes for tile, hashes in forged.tiles.items() if tile.level})
    (difference,) = failed(book)
    assert difference.startswith("the auditor's")


def test_a_checkpoint_of_another_key_another_log_or_that_is_none_is_found(
    kept: Kept, events: list[StoredEvent]
) -> None:
    size = len(events)
    for note in (
        str(signed(kept.now, bytes(32), SignerKey(KEY.name, bytes(32)))),
        str(signed(kept.now._replace(origin="other"), bytes(32), KEY)),
        str(signed(kept.now._replace(size=size + 1), bytes(32), KEY)),
        str(signed(kept.now, bytes(32), KEY)),
        "nothing",
    ):
        forged = resealed(events)
        forged.notes[size] = note
        (difference,) = failed(forged.checked(events))
        assert difference.startswith(f"checkpoint {size}")


def test_a_tile_that_was_changed_is_found(events: list[StoredEvent]) -> None:
    many = [event._replace(position=len(events) * turn * 2 + event.position) for turn in range(4) for event in events]
    forged = resealed(many, 10_000)
    assert failed(forged.checked(many)) == []
    forged.tiles[Tile(1, 0)] = forged.tiles[Tile(1, 0)][:-1] + b"\0"
    assert failed(forged.checked(many)) == ["tile 1/0 is not made of the leaves below it"]
    forged.now = forged.now._replace(size=7)
    assert "7 events are said to be sealed" in failed(forged.checked(many))[0]
