"""The relay: publishes the log of PostgreSQL to Kafka, in order.

Invariant: one relay publishes at a time, the one that holds the lock; it publishes the log in order, and moves its
position only after every message up to there was acknowledged. What it published without having moved its position is
published again, with the same positions and the same predecessors.

The lock is the session's, and the position is saved in the same session: a relay whose session has ended cannot save.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import psycopg
import structlog

from oms_es.kafka.client import KafkaUnavailable, TooLarge
from oms_es.kafka.groups.reading import TopicReplaced
from oms_es.kafka.relay.event_publisher import RELAYED_MAX, MessageProducer, TopicPublisher
from oms_es.kafka.relay.leadership import LeaderLock
from oms_es.kafka.relay.store import LeadershipLost
from oms_es.processing import metrics
from oms_es.processing.readers import NothingToSave
from oms_es.store.clock import SYSTEM_TIMING, Timing
from oms_es.store.log import AppendListener

log = structlog.get_logger(__name__)

CHECK_SECONDS = 5.0
"""How often the relay checks that no topic was deleted and made again."""

REFRESH_SECONDS = 0.05
"""How often the relay polls for rows that send no notification."""


class RelaySignal(AppendListener):
    """The log's notification plus a regular poll, as changed rows and dead letters send none."""

    def wait(self, seconds: float) -> bool:
        return super().wait(min(seconds, REFRESH_SECONDS))


class Relay(NothingToSave):
    """A participant of the loop: stands by, or publishes."""

    name = "relay"
    batch_max = RELAYED_MAX

    def __init__(
        self,
        leadership: LeaderLock,
        producer: MessageProducer,
        publishers: Sequence[TopicPublisher],
        check: Callable[[Any], None] = lambda _session: None,
        timing: Timing = SYSTEM_TIMING,
        note: Callable[[str], None] = lambda _problem: None,
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        """`check` raises TopicReplaced if a topic is not the one that was published to before; `forget` is called when
        it is no longer this relay that checks, and `check` again as soon as it is.

        `note` is given what stops it, for questions to another process, and "" when it goes on.
        """
        self.check = check
        self.note = note
        self.forget = forget
        self.timing = timing
        self.problem = ""
        self._noted = False  # the relay before this one may have stopped
        self._checked = -CHECK_SECONDS
        self.leadership = leadership
        self.producer = producer
        self.publishers = publishers
        self._begun = False

    @property
    def active(self) -> bool:
        return self.leadership.session is not None

    def step(self) -> int:
        if not self.active and not self.leadership.try_acquire():
            return 0
        try:
            return self._publish()
        except TooLarge as error:
            self._begun = False
            self._report(str(error))
            raise
        except KafkaUnavailable:
            self._begun = False  # begin again where the position is stored
            raise
        except (LeadershipLost, psycopg.OperationalError) as error:
            self._stand_by(error)
            return 0

    def seek(self) -> None:
        self._begun = False

    def close(self) -> None:
        self.producer.close()
        self.leadership.release()

    def _publish(self) -> int:
        session = self.leadership.session
        assert session
        self._check_topics(session)
        if not self._begun:
            for publisher in self.publishers:
                publisher.begin(session, self.leadership.epoch)
            self._begun = True
        published = self._published(session)
        metrics.RELAY_PUBLISHED.inc(sum(published))
        if self.problem or not self._noted:
            self._report("")
        return max(published)

    def _published(self, session: Any) -> list[int]:
        """A publisher that fails does not hold up the others. Raises TooLarge after the others had their turn."""
        published, refused = [0], None
        for publisher in self.publishers:
            try:
                published.append(publisher.publish(session))
            except TooLarge as error:
                refused = refused or error
        if refused:
            raise refused
        return published

    def _report(self, problem: str) -> None:
        """Report what stops the relay, or "" once it goes on."""
        if problem and problem != self.problem:
            log.critical("relay stopped", reason=problem)
        if problem != self.problem or not self._noted:
            self.note(problem)
        self.problem, self._noted = problem, True
        metrics.STOPPED.labels(self.name).set(int(bool(problem)))

    def _check_topics(self, session: Any) -> None:
        """What was published since the last look is in the topics of before, or in the one that a person accepts."""
        if self.timing.monotonic() - self._checked < CHECK_SECONDS and not self.problem:
            return
        try:
            self.check(session)
        except TopicReplaced as replaced:
            self._report(str(replaced))
            raise KafkaUnavailable(self.problem) from replaced
        self._checked = self.timing.monotonic()

    def _stand_by(self, error: Exception) -> None:
        log.warning("relay stands by", reason=str(error))
        self.producer.discard()
        self.leadership.release()
        self._begun = self._noted = False
        self._checked = -CHECK_SECONDS
        self.forget()
