"""Proofs made from the sealed log: which events, where their leaves are, and the hashes beside them.

Reads only. Tiles only grow, so that what a newer seal adds meanwhile changes no proof.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from http import HTTPStatus

from oms_es.database.rows import Reading
from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.proof import checkpoints, tree
from oms_es.proof.checkpoints import Checkpoint
from oms_es.proof.encryption import recorded_in
from oms_es.proof.entries import StoredEvent
from oms_es.proof.proofs import Older, Proof, ProvedEvent
from oms_es.proof.tiles import WIDTH, Hashes, Tile, nodes_of, tiles_of
from oms_es.proof.tree import BadProof
from oms_es.store.archive.reading import whole
from oms_es.store.privacy.encrypted_later import records_of
from oms_es.store.recorder import EVENTS
from oms_es.store.sealing.tables import CHECKPOINTS, TILES

PROVED_MAX = 10_000
"""Events of a proof."""
STORED = f"SELECT notification_id, originator_id, originator_version, topic, state FROM {EVENTS} WHERE "
PLACES = f"""
SELECT asked.position, found.number, array_position(found.positions, asked.position) AS at
FROM unnest(%s::bigint[]) AS asked(position), LATERAL (
    SELECT number, positions FROM {TILES} WHERE level = 0 AND positions[1] <= asked.position
    ORDER BY positions[1] DESC LIMIT 1
) AS found ORDER BY asked.position"""


class NotSealed(OmsError):
    """What is asked for has no checkpoint yet."""

    code = "not_sealed"
    exit_code = Code.UNAVAILABLE
    status = HTTPStatus.SERVICE_UNAVAILABLE


class TooManyEvents(OmsError):
    """More than fit a proof."""

    code = "too_many_events"
    exit_code = Code.USAGE
    status = HTTPStatus.UNPROCESSABLE_ENTITY


def newest_checkpoint(rows: Reading) -> str:
    """Raises NotSealed."""
    found = rows.execute(f"SELECT note FROM {CHECKPOINTS} ORDER BY size DESC LIMIT 1".encode()).fetchone()
    if found is None:
        raise NotSealed("this log has no checkpoint; run `oms-es migrate` once")
    return str(found["note"])


def checkpoint_at(rows: Reading, size: int) -> str | None:
    found = rows.execute(f"SELECT note FROM {CHECKPOINTS} WHERE size = %s".encode(), [size]).fetchone()
    return str(found["note"]) if found else None


def events_at(rows: Reading, positions: Iterable[int]) -> list[StoredEvent]:
    return _events(rows, "notification_id = ANY(%s)", sorted(set(positions)))


def events_of(rows: Reading, streams: Sequence[str]) -> list[StoredEvent]:
    return _events(rows, "originator_id = ANY(%s)", streams)


def _events(rows: Reading, where: str, value: Sequence[object]) -> list[StoredEvent]:
    """Raises TooManyEvents."""
    query = f"{STORED}{where} ORDER BY notification_id LIMIT {PROVED_MAX + 1}"
    found = [
        StoredEvent(
            row["notification_id"],
            row["originator_id"],
            row["originator_version"],
            row["topic"],
            whole(bytes(row["state"])),
        )
        for row in rows.execute(query.encode(), [value])
    ]
    if len(found) > PROVED_MAX:
        raise TooManyEvents(f"these are more than {PROVED_MAX:,} events; ask for fewer, such as one event or one order")
    return found


def proof_of(
    rows: Reading,
    subject: str,
    events: Sequence[StoredEvent],
    older: str | None = None,
    newer: str | None = None,
    in_the_clear: Callable[[bytes], bytes] | None = None,
) -> Proof:
    """`older`: a checkpoint that the newer one continues; `newer`: else the newest one. Of events that were encrypted
    after they had been sealed, the records are proved, too. `in_the_clear`: decrypts such an event, to disclose the
    bytes that were sealed.

    Raises NotSealed, BadProof, TooManyEvents.
    """
    events, sealed = with_records(rows, events)
    note = newer or newest_checkpoint(rows)
    _, checkpoint = checkpoints.read(note)
    places = _places(rows, events, checkpoint)
    before = checkpoints.read(older)[1] if older else None
    if before and before.size > checkpoint.size:
        raise BadProof(f"the older checkpoint is of {before.size:,} events, the newer one of {checkpoint.size:,}")
    ranges = [part for place in places for part in tree.inclusion_ranges(place, checkpoint.size)]
    ranges += tree.consistency_ranges(before.size, checkpoint.size) if before else []
    node = nodes_of(tiles(rows, tiles_of(ranges)))
    try:
        proved = [
            ProvedEvent(
                event,
                place,
                tree.inclusion_path(place, checkpoint.size, node),
                sealed.get(event.position),
                _clear(event, sealed.get(event.position), in_the_clear),
            )
            for event, place in zip(events, places, strict=True)
        ]
        path = tree.consistency_path(before.size, checkpoint.size, node) if before else []
    except KeyError as missing:
        raise BadProof(f"tile {missing} is not kept; `oms-es audit check-log` says what else is not") from None
    return Proof(subject, note, proved, Older(older, path) if older else None)


def with_records(rows: Reading, events: Sequence[StoredEvent]) -> tuple[Sequence[StoredEvent], Mapping[int, bytes]]:
    """Return the events with the records that name some of them, and by position what was sealed of those."""
    places = sorted(set(records_of(rows, [event.position for event in events]).values()))
    found = [record for place in places for record in events_at(rows, [place])]
    named = {at: digests.before for record in found for at, digests in recorded_in(record).events.items()}
    sealed = {event.position: named[event.position] for event in events if event.position in named}
    used = [record for record in found if sealed.keys() & recorded_in(record).events.keys()]
    every = {event.position: event for event in [*events, *used]}
    return [every[position] for position in sorted(every)], sealed


def _clear(event: StoredEvent, sealed: bytes | None, in_the_clear: Callable[[bytes], bytes] | None) -> bytes | None:
    """Return the bytes that were sealed; None if the key is gone."""
    if sealed is None or in_the_clear is None:
        return None
    clear = in_the_clear(event.state)
    return clear if sha256(clear).digest() == sealed else None


def _places(rows: Reading, events: Sequence[StoredEvent], checkpoint: Checkpoint) -> list[int]:
    positions = [event.position for event in events]
    found = {row["position"]: row for row in rows.execute(PLACES.encode(), [positions])}
    places = []
    for position in positions:
        row = found.get(position)
        place = -1 if row is None or row["at"] is None else row["number"] * WIDTH + row["at"] - 1
        if not 0 <= place < checkpoint.size:
            raise NotSealed(f"the event at position {position} waits for its checkpoint; ask again in some seconds")
        places.append(place)
    return places


def tiles(rows: Reading, places: Iterable[Tile]) -> Hashes:
    asked = list(places)
    query = (
        f"SELECT level, number, hashes FROM {TILES} "
        "JOIN unnest(%s::smallint[], %s::bigint[]) AS asked(level, number) USING (level, number)"
    )
    found = rows.execute(query.encode(), [[one.level for one in asked], [one.number for one in asked]])
    return {Tile(row["level"], row["number"]): bytes(row["hashes"]) for row in found}
