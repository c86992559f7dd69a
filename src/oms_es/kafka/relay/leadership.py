"""Which relay is active: the one whose session holds the lock in PostgreSQL."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Protocol

import psycopg
import structlog

from oms_es.kafka.relay.store import RELAY
from oms_es.processing import metrics
from oms_es.store.clock import SYSTEM_TIMING, Timing
from oms_es.store.recorder import APPEND_LOCK

log = structlog.get_logger(__name__)

RELAY_LOCK = APPEND_LOCK + 2

STANDBY_SECONDS = 1.0
"""How often a standby asks for the lock."""

STATEMENT_SECONDS_MAX = 30

NO_WAIT_FOR_THE_DISK = "-c synchronous_commit=off"
"""What a crash of the database takes back from a relay is published again."""


class LeaderLock(Protocol):
    """Whether this relay is the one, by the lock of a session of PostgreSQL, or of a simulation of it."""

    session: Any
    epoch: int

    def try_acquire(self) -> bool: ...

    def release(self) -> None: ...


class Leadership:
    """The lock, and the session that holds it."""

    def __init__(self, database_url: str, timing: Timing = SYSTEM_TIMING) -> None:
        self.database_url = database_url
        self.timing = timing
        self.session: psycopg.Connection[Any] | None = None
        self.epoch = 0
        self._asked = -STANDBY_SECONDS

    def try_acquire(self) -> bool:
        """True in the moment in which this relay becomes the active one. Asks no more often than STANDBY_SECONDS."""
        if self.timing.monotonic() - self._asked < STANDBY_SECONDS:
            return False
        self._asked = self.timing.monotonic()
        session = psycopg.connect(
            self.database_url,
            autocommit=True,
            options=f"-c statement_timeout={STATEMENT_SECONDS_MAX}s {NO_WAIT_FOR_THE_DISK}",
        )
        row = session.execute("SELECT pg_try_advisory_lock(%s)", [RELAY_LOCK]).fetchone()
        if row is None or not row[0]:
            session.close()
            return False
        self.session = session
        row_of_epoch = session.execute(
            f"INSERT INTO {RELAY} AS kept (name, epoch) VALUES ('events', 1) "
            "ON CONFLICT (name) DO UPDATE SET epoch = kept.epoch + 1 RETURNING epoch"
        ).fetchone()
        assert row_of_epoch
        self.epoch = row_of_epoch[0]
        log.info("relay is active", epoch=self.epoch)
        metrics.RELAY_ACTIVE.set(1)
        return True

    def release(self) -> None:
        session, self.session = self.session, None
        metrics.RELAY_ACTIVE.set(0)
        if session is not None:
            with suppress(psycopg.Error):
                session.close()
