"""`oms-es` as it is, with two things besides.

The simulated world around it fails as real ones do. And after SIGUSR1 it dies the next time that it is at the one
moment where most could go wrong. A worker: where a consumer's commit is in the database and its offset is not yet in
Kafka; it says which consumer, on which partition, and the offset. A relay: where what it published is in Kafka and its
position is not yet in the database; it says the position before, and the one that it could not save.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from functools import partial
from types import FrameType
from typing import Any
from unittest.mock import patch

from oms_es.app import engine, workers
from oms_es.cli import main as cli
from oms_es.cli.operator import running
from oms_es.gateways.simulated.modes import Chaos
from oms_es.kafka.client import TopicPartition
from oms_es.kafka.groups.membership import Group
from oms_es.kafka.relay.event_publisher import EventPublisher
from oms_es.kafka.relay.store import SqlRelayStore
from oms_es.kernel import Recorded
from oms_es.processing.readers import ConsumerWorker
from oms_es.store.recorder import Advance

CHAOS = Chaos(seed=5, decline=0.05, timeout=0.1, duplicate=0.1, late=0.1)
doomed = False
committed = False


class WatchedWorker(ConsumerWorker):
    def take(self, deliveries: Sequence[Recorded], advance: Advance) -> None:
        global committed  # noqa: PLW0603 - one process, one thread, one death
        super().take(deliveries, advance)
        committed = bool(deliveries)


class WatchedGroup(Group):
    def commit_offsets(self, offsets: Mapping[TopicPartition, int]) -> None:
        global committed  # noqa: PLW0603 - the same
        if doomed and committed:
            ((topic_partition, offset),) = offsets.items()
            print("died", self.name, topic_partition.topic, topic_partition.partition, offset, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        committed = False
        super().commit_offsets(offsets)


class WatchedRelayStore(SqlRelayStore):
    def save(self, session: Any, epoch: int, previous: int, position: int, last: Mapping[TopicPartition, int]) -> None:
        if doomed:
            print("died", previous, position, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        super().save(session, epoch, previous, position, last)


def doom(_signum: int, _frame: FrameType | None) -> None:
    global doomed  # noqa: PLW0603 - the same
    doomed = True


def main(arguments: Sequence[str]) -> int:
    signal.signal(signal.SIGUSR1, doom)
    with (
        patch.object(running, "Workers", partial(workers.Workers, chaos=CHAOS)),
        patch.object(workers, "Group", WatchedGroup),
        patch.object(engine, "ConsumerWorker", WatchedWorker),
        patch.object(workers, "EventPublisher", partial(EventPublisher, relay_store=WatchedRelayStore())),
    ):
        return cli.main(arguments)
