"""A codec for the database in memory: events are not written as JSON, but kept as objects."""

from __future__ import annotations

from collections.abc import Mapping

from oms_es.kernel import Event, Recorded
from oms_es.store.encoding.codec import Codec, StoredRow


class Kept(bytes):
    """Takes the place of an event's JSON, and refers to the event itself."""

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
    """The codec: the same event objects come back, with their positions."""

    def __init__(self, events: Mapping[str, type[Event]]) -> None:
        self.events = events

    def encode(self, recorded: Recorded) -> bytes:
        return Kept.of(recorded)

    def decode(self, row: StoredRow, position: int = 0) -> Recorded:
        assert isinstance(row.state, Kept)
        recorded = row.state.recorded
        return recorded if recorded.position == position else Recorded(position, *recorded[1:])
