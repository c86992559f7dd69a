"""Events are not written as JSON in memory: the codec keeps the objects themselves."""

from __future__ import annotations

from collections.abc import Mapping

from oms_es.kernel import Event, Recorded
from oms_es.store.encoding.codec import Codec, StoredRow


class Kept(bytes):
    """Stands for an event's JSON where it is not written: the event itself."""

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
