"""Messages that carry events as they are, for the seeds that do not write them as JSON."""

from __future__ import annotations

from oms_es.kafka.client import Message, Outgoing, Place
from oms_es.kafka.cloudevents import Wire
from oms_es.kernel import Recorded
from oms_es.simulation.database import Kept
from oms_es.store.codec import StoredRow


class KeptWire(Wire):
    def outgoing(self, row: StoredRow, position: int, place: Place, previous: int) -> Outgoing:
        headers = [("ce_sequence", str(position).encode()), ("ce_previoussequence", str(previous).encode())]
        return Outgoing(place, str(row.originator_id).encode(), row.state, headers)

    def recorded(self, message: Message) -> Recorded:
        assert isinstance(message.value, Kept)
        return message.value.recorded
