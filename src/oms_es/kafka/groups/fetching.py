"""How every consumer of a process reads, and when it is worth asking one of them for messages.

Invariant: a client is asked whenever a fetch of its has ended, and otherwise now and then: being asked it takes several
turns of its thread, which cost a process with many clients more than what they bring.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oms_es.kafka.client import Message, TopicPartition

MESSAGES_PER_POLL_MAX = 2_000
FETCH_WAIT_MS = 500
"""How long a broker waits for something to come before it says that there is nothing."""
REFRESH_SECONDS = 0.5
"""How often the library has its turn, whether or not messages came: it notices what happened to its group."""
IDLE_REFRESH_SECONDS = 15.0
"""The same of a client that reads nothing: it answers for its group by itself, as long as it is polled now and then."""
READING: Mapping[str, Any] = {
    "max_poll_records": MESSAGES_PER_POLL_MAX,
    "fetch_max_wait_ms": FETCH_WAIT_MS,
    "isolation_level": "read_committed",
    "metrics_enabled": False,
}


class FetchWatch:
    """Whether there may be something to take from a client of kafka-python."""

    def __init__(self, notify: Callable[[], None]) -> None:
        """`notify` is called on the client's own thread when something has come in."""
        self.notify = notify
        self._fetcher: Any = None
        self._stirred = True
        self._refresh_at = self._idle_refresh_at = 0.0

    def install(self, fetcher: Any) -> None:
        ended = fetcher._clear_pending_fetch_request  # noqa: SLF001 - the last that is done of a fetch

        def ended_and_notify(*offsets: Any) -> None:
            ended(*offsets)
            self._stirred = True
            self.notify()

        fetcher._clear_pending_fetch_request = ended_and_notify  # noqa: SLF001 - the same
        self._fetcher = fetcher

    def is_still(self, *, idle: bool = False) -> bool:
        """Whether a fetch is under way, or none is wanted, and nothing has come in since the last poll."""
        now = time.monotonic()
        if self._stirred or now >= (self._idle_refresh_at if idle else self._refresh_at):
            return False
        return idle or bool(self._fetcher._nodes_with_pending_fetch_requests)  # noqa: SLF001 - there is no public way

    def stir(self) -> None:
        """There may be something now."""
        self._stirred = True

    def begin(self) -> None:
        """It is polled now."""
        now = time.monotonic()
        self._stirred = False
        self._refresh_at, self._idle_refresh_at = now + REFRESH_SECONDS, now + IDLE_REFRESH_SECONDS


def messages_of(records: Mapping[Any, Sequence[Any]]) -> dict[TopicPartition, list[Message]]:
    """As this library gives them."""
    return {
        (topic_partition := TopicPartition(*at)): [_message(topic_partition, record) for record in found]
        for at, found in records.items()
    }


def _message(topic_partition: TopicPartition, record: Any) -> Message:
    return Message(topic_partition, record.offset, record.key, record.value, dict(record.headers), record.headers)
