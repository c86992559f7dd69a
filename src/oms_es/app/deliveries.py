"""The role that delivers webhooks: events of orders, and of reports that are ready, become deliveries, and each is
sent until its receiver accepts it.

Invariant: at least once, and in order for each order: a delivery is marked only after its receiver has answered 2xx,
and a crash before that sends it again, under the same id. A subscription whose deliveries keep failing is disabled, and
nothing is lost.
"""

from __future__ import annotations

import http.client
import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import psycopg
import structlog
from psycopg.rows import dict_row
from pydantic_core import from_json, to_json

from oms_es.aggregates.operations.subscription import Subscription
from oms_es.channels.signatures import standard_signature
from oms_es.gateways.webhooks import BadUrl, Networks, NotPublic, post
from oms_es.kernel import Command
from oms_es.processing import metrics
from oms_es.processing.metrics import Health
from oms_es.processing.readers import Stopping
from oms_es.schemas.operations.subscription import OF_REPORTS, DisableSubscription
from oms_es.store.encoding.codec import Cause, opened
from oms_es.store.http.subscriptions import KEPT_DAYS, PENDING_MAX, Delivery, DeliveryTables, Occurred, Progress
from oms_es.store.store import OUTAGES

RETRY_SECONDS = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Pauses after each failure; after the last the subscription is disabled."""
JITTER = 0.2
"""Random share by which a pause is longer, so that deliveries that failed together are not repeated together."""
PARALLEL_MAX = 8
"""Subscriptions that are sent to in parallel; the deliveries of each are sent one after the other."""
ROUND_MAX = 50
"""Deliveries of a subscription before the others have their turn."""
REST_SECONDS = 5.0
"""Pause of a subscription whose receiver does not answer at all."""
ORDER = "order-"
REPORT_FILES = "/v1/report-files"
"""The path below which the bytes of a report's files are, by their SHA-256."""
GONE = 410
AGENT = "oms-es"
ACTOR = "webhook_sender"
Sending = Callable[[str, dict[str, str], bytes, Networks], int]

log = structlog.get_logger(__name__)


class Tables(Protocol):
    """The progress of each subscription, and its waiting deliveries (store/http/subscriptions.py)."""

    def try_lock(self) -> bool: ...
    def names(self) -> list[tuple[str, int]]: ...
    def progress(self, name: str, opened_position: int) -> Progress: ...
    def resume(self, name: str, rounds: int, now: datetime) -> None: ...
    def occurred(self, position: int, types: Sequence[str]) -> tuple[list[Occurred], int]: ...
    def pending(self, name: str) -> int: ...
    def add(self, before: Progress, due: Sequence[tuple[int, str, str]], position: int, now: datetime) -> bool: ...
    def due(self, name: str, now: datetime, limit: int) -> list[Delivery]: ...
    def secrets(self, subscription: Subscription, now: datetime) -> Sequence[str]: ...
    def note_delivered(self, delivery: Delivery, status: int, at: datetime) -> None: ...
    def note_failed(self, delivery: Delivery, status: int | None, error: str, due_at: datetime) -> None: ...
    def sweep(self, before: datetime) -> None: ...
    def close(self) -> None: ...


class Deciding(Protocol):
    """The part of the engine that this role uses."""

    @property
    def store(self) -> Any: ...
    def clock(self) -> datetime: ...
    def append(self, batch: Sequence[tuple[Cause, Sequence[Command]]]) -> Any: ...


Each = Callable[[Callable[[Subscription], int], Sequence[Subscription]], Iterable[int]]


def beside_each_other(send_due: Callable[[Subscription], int], subscriptions: Sequence[Subscription]) -> Iterable[int]:
    with ThreadPoolExecutor(PARALLEL_MAX) as pool:
        return list(pool.map(send_due, subscriptions))


class Deliverer:
    """The role. `tables` opens a session with the database; `send` sends one webhook."""

    def __init__(
        self, runtime: Deciding, tables: Callable[[], Tables], networks: Networks = (), send: Sending = post
    ) -> None:
        self.runtime = runtime
        self.tables = tables
        self.networks = networks
        self.send = send
        self.each: Each = beside_each_other
        self.random: Callable[[], float] = random.random
        self._session: Tables | None = None
        self.last_iteration_at = time.monotonic()
        self.problem = "nothing was looked at yet"
        self._resting: dict[str, datetime] = {}
        self._failed: dict[str, str] = {}

    def health(self) -> Health:
        return Health(lambda: self.last_iteration_at, lambda: [self.problem] if self.problem else [])

    def run(self, stopping: Stopping, poll_seconds: float) -> None:
        while not stopping.is_set():
            self.last_iteration_at = time.monotonic()
            try:
                worked = self.step()
                self.problem = ""
            except OUTAGES as error:
                self.problem = "the database does not answer"
                log.warning(self.problem, error=type(error).__name__)
                self.close()
                worked = 0
            if not worked:
                stopping.wait(poll_seconds)
        self.close()

    def close(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            session.close()

    def step(self) -> int:
        """Make and send deliveries; return how many were made or tried, 0 if another process has the role."""
        if self._session is None:
            self._session = self.tables()
        tables = self._session
        if not tables.try_lock():
            return 0
        known = [one for name, opened_at in tables.names() if (one := self._enabled(tables, name, opened_at))]
        made = sum(self._make(tables, subscription, progress) for subscription, progress in known)
        tried = sum(self.each(self._send_due, [subscription for subscription, _ in known]))
        self._disable_failed()
        metrics.WEBHOOKS_WAITING.set(sum(tables.pending(one.name) for one, _ in known))
        tables.sweep(self.runtime.clock() - timedelta(days=KEPT_DAYS))
        return made + tried

    def _enabled(self, tables: Tables, name: str, opened_position: int) -> tuple[Subscription, Progress] | None:
        """Return the subscription from the log, as the read model may be behind, with its progress; None if it is
        disabled."""
        subscription, _ = self.runtime.store.state_of(f"subscription-{name}")
        if subscription.disabled:
            return None
        progress = tables.progress(name, opened_position)
        if progress.rounds < subscription.rounds:
            tables.resume(name, subscription.rounds, self.runtime.clock())
            self._resting.pop(name, None)
        return subscription, progress

    def _make(self, tables: Tables, subscription: Subscription, progress: Progress) -> int:
        if tables.pending(subscription.name) >= PENDING_MAX:
            return 0
        found, position = tables.occurred(progress.position, subscription.types)
        due = [row for one in found if (row := self._row(subscription, one)) is not None]
        if position > progress.position:
            tables.add(progress, due, position, self.runtime.clock())
        return len(due)

    def _row(self, subscription: Subscription, one: Occurred) -> tuple[int, str, str] | None:
        """Return a delivery's position, order and body, or None for an order of another channel."""
        if one.type == OF_REPORTS:
            return None if subscription.channels else _about_report(one)
        if not one.stream.startswith(ORDER):
            return None
        state, _ = self.runtime.store.state_of(one.stream)
        channel = None if state.placed is None else state.placed.channel
        if channel is None or (subscription.channels and channel not in subscription.channels):
            return None
        order_id = one.stream.removeprefix(ORDER)
        data = {
            "order_id": order_id,
            "channel": channel,
            "external_id": state.placed.external_id,
            "version": one.version,
            "position": one.position,
        }
        message = {"type": one.type, "timestamp": opened(one.state)[1].get("recorded_at"), "data": data}
        return one.position, order_id, to_json(message).decode()

    def _send_due(self, subscription: Subscription) -> int:
        """Send the due deliveries of a subscription and return how many were tried. It runs in a thread, and so has its
        own session."""
        if self.runtime.clock() < self._resting.get(subscription.name, datetime.min.replace(tzinfo=UTC)):
            return 0
        with closing(self.tables()) as tables:
            due = tables.due(subscription.name, self.runtime.clock(), ROUND_MAX)
            secrets = tables.secrets(subscription, self.runtime.clock()) if due else []
            for number, delivery in enumerate(due, 1):
                if not self._deliver(tables, subscription, secrets, delivery):
                    return number
            return len(due)

    def _deliver(self, tables: Tables, subscription: Subscription, secrets: Sequence[str], delivery: Delivery) -> bool:
        """Send one delivery; return whether to go on with the next of this subscription."""
        status, error = self._sent(subscription, secrets, delivery)
        now = self.runtime.clock()
        if status is not None and 200 <= status < 300:  # noqa: PLR2004 - what HTTP calls success
            tables.note_delivered(delivery, status, now)
            metrics.WEBHOOKS_SENT.labels("delivered").inc()
            return True
        seconds = RETRY_SECONDS[min(delivery.attempts, len(RETRY_SECONDS) - 1)]
        tables.note_failed(delivery, status, error, now + timedelta(seconds=seconds * (1 + JITTER * self.random())))
        metrics.WEBHOOKS_SENT.labels("failed").inc()
        log.warning(
            "not delivered", subscription=subscription.name, position=delivery.position, status=status, error=error
        )
        if status == GONE:
            self._failed[subscription.name] = "its receiver said 410: gone"
        elif delivery.attempts >= len(RETRY_SECONDS):
            self._failed[subscription.name] = f"delivery {delivery.position} failed {delivery.attempts + 1} times"
        if status is None:
            self._resting[subscription.name] = now + timedelta(seconds=REST_SECONDS)
        return status is not None and status != GONE

    def _sent(self, subscription: Subscription, secrets: Sequence[str], delivery: Delivery) -> tuple[int | None, str]:
        """Return the status, or the kind of error; nothing of the answer's content."""
        body = delivery.body.encode()
        headers = headers_of(delivery, body, secrets, self.runtime.clock())
        try:
            return self.send(subscription.url, headers, body, self.networks), ""
        except (BadUrl, NotPublic) as error:
            return None, error.code
        except (OSError, http.client.HTTPException, ValueError) as error:
            return None, type(error).__name__

    def _disable_failed(self) -> None:
        """Disable subscriptions that failed too often, in this thread, which alone uses the store."""
        failed, self._failed = self._failed, {}
        for name, because in failed.items():
            command = DisableSubscription(name=name, because=because, failed=True)
            self.runtime.append([(Cause(ACTOR), [command])])
            log.error("subscription disabled", subscription=name, because=because)


def _about_report(one: Occurred) -> tuple[int, str, str]:
    """Return a delivery's position, stream and body: which files there are, and the path of each on this server."""
    said, envelope = opened(one.state)
    ready = from_json(said)
    files = [{**file, "path": f"{REPORT_FILES}/{file['sha256']}"} for file in ready["files"]]
    names = ("every", "first_day", "last_day", "timezone")
    data = {
        "report": ready["name"],
        **{name: ready[name] for name in names},
        "files": files,
        "version": one.version,
        "position": one.position,
    }
    message = {"type": one.type, "timestamp": envelope.get("recorded_at"), "data": data}
    return one.position, one.stream, to_json(message).decode()


def stored(database_url: str) -> DeliveryTables:
    return DeliveryTables(psycopg.connect(database_url, row_factory=dict_row, autocommit=True))


def headers_of(delivery: Delivery, body: bytes, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """Return the headers of a delivery. Its id is the event's position, and so the same whenever it is sent."""
    message_id, seconds = f"evt_{delivery.position}", int(now.timestamp())
    return {
        "Content-Type": "application/json",
        "User-Agent": AGENT,
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": standard_signature(message_id, seconds, body, secrets),
    }
