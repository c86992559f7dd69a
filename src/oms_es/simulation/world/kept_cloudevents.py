"""Messages that carry event objects unchanged, for the seeds that do not write them as JSON."""

from __future__ import annotations

from oms_es.kafka.client import Message, Outgoing, TopicPartition
from oms_es.kafka.cloudevents import CloudEventsCodec
from oms_es.kernel import Recorded
from oms_es.memory.kept_codec import Kept
from oms_es.store.encoding.codec import StoredRow


class KeptCloudEvents(CloudEventsCodec):
    def outgoing(self, row: StoredRow, position: int, topic_partition: TopicPartition, previous: int) -> Outgoing:
        headers = [("ce_sequence", str(position).encode()), ("ce_previoussequence", str(previous).encode())]
        return Outgoing(topic_partition, str(row.originator_id).encode(), row.state, headers)

    def recorded(self, message: Message) -> Recorded:
        assert isinstance(message.value, Kept)
        return message.value.recorded
