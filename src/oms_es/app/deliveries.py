"""The role that delivers webhooks: what happened to orders becomes deliveries, and each is sent until it has arrived.

Invariant: at least once, and of one order in order: a delivery is marked only after its receiver has said 2xx, and a
crash before that sends it again, under the same id. What keeps failing disables its subscription, and nothing is lost.
"""

from __future__ import annotations

import http.client
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import psycopg
import structlog
from psycopg.rows import dict_row
from pydantic_core import to_json

from oms_es.aggregates.operations.subscription import Subscription
from oms_es.app.engine import Runtime
from oms_es.channels.signatures import standard_signature
from oms_es.gateways.webhooks import BadUrl, Networks, NotPublic, post
from oms_es.processing import metrics
from oms_es.processing.metrics import Health
from oms_es.schemas.operations.subscription import DisableSubscription
from oms_es.store.encoding.codec import Cause, opened
from oms_es.store.http import subscriptions, webhook_secrets
from oms_es.store.http.subscriptions import Delivery, Occurred, Progress
from oms_es.store.store import OUTAGES

RETRY_SECONDS = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""After each failure; after the last one the subscription is disabled."""
JITTER = 0.2
PARALLEL_MAX = 8
"""Subscriptions that are sent to at once; to each one after the other."""
ROUND_MAX = 50
"""Deliveries of a subscription before the others have their turn."""
REST_SECONDS = 5.0
"""Of a subscription whose receiver does not answer at all."""
ORDER = "order-"
GONE = 410
AGENT = "oms-es"
ACTOR = "webhook_sender"
LOCK = 8_414_200_118
"""One process delivers, others stand by: two would send the same twice."""
Sending = Callable[[str, dict[str, str], bytes, Networks], int]

log = structlog.get_logger(__name__)


class Deliverer:
    """`send` is the way out."""

    def __init__(self, runtime: Runtime, networks: Networks = (), send: Sending = post) -> None:
        self.runtime = runtime
        self.networks = networks
        self.send = send
        self._rows: Any = None
        self.last_iteration_at = time.monotonic()
        self.problem = "nothing was looked at yet"
        self._resting: dict[str, datetime] = {}
        self._failed: dict[str, str] = {}

    def health(self) -> Health:
        return Health(lambda: self.last_iteration_at, lambda: [self.problem] if self.problem else [])

    def run(self, stopping: Event, poll_seconds: float) -> None:
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
        """The lock is given back first: the server ends a session some time after its connection."""
        if self._rows is not None:
            with suppress(*OUTAGES):
                self._rows.execute("SELECT pg_advisory_unlock_all()")
            self._rows.close()
            self._rows = None

    def step(self) -> int:
        """How many deliveries were made or tried; 0 where another process delivers."""
        rows = self._locked()
        if rows is None:
            return 0
        known = [one for name, opened_at in subscriptions.names(rows) if (one := self._enabled(rows, name, opened_at))]
        made = sum(self._make(rows, subscription, progress) for subscription, progress in known)
        with ThreadPoolExecutor(PARALLEL_MAX) as pool:
            tried = sum(pool.map(self._send_due, [subscription for subscription, _ in known]))
        self._disable_failed()
        metrics.WEBHOOKS_WAITING.set(sum(subscriptions.pending(rows, one.name) for one, _ in known))
        subscriptions.sweep(rows, self.runtime.clock() - timedelta(days=subscriptions.KEPT_DAYS))
        return made + tried

    def _locked(self) -> Any:
        if self._rows is None or self._rows.closed:
            self._rows = self._connected()
        row = self._rows.execute("SELECT pg_try_advisory_lock(%s) AS mine", [LOCK]).fetchone()
        return self._rows if row and row["mine"] else None

    def _connected(self) -> Any:
        return psycopg.connect(self.runtime.database_url, row_factory=dict_row, autocommit=True)

    def _enabled(self, rows: Any, name: str, opened_position: int) -> tuple[Subscription, Progress] | None:
        """As the log has it now: the read model may be behind. None while it is disabled."""
        subscription, _ = self.runtime.store.state_of(f"subscription-{name}")
        if subscription.disabled:
            return None
        progress = subscriptions.progress(rows, name, opened_position)
        if progress.rounds < subscription.rounds:
            subscriptions.resume(rows, name, subscription.rounds, self.runtime.clock())
            self._resting.pop(name, None)
        return subscription, progress

    def _make(self, rows: Any, subscription: Subscription, progress: Progress) -> int:
        if subscriptions.pending(rows, subscription.name) >= subscriptions.PENDING_MAX:
            return 0
        found, position = subscriptions.occurred(rows, progress.position, subscription.types)
        due = [row for one in found if (row := self._row(subscription, one)) is not None]
        if position > progress.position:
            subscriptions.add_deliveries(rows, progress, due, position, self.runtime.clock())
        return len(due)

    def _row(self, subscription: Subscription, one: Occurred) -> tuple[int, str, str] | None:
        """Its position, its order and its body; None for what is of another channel."""
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
        """On a connection of its own: this runs in a thread."""
        if self.runtime.clock() < self._resting.get(subscription.name, datetime.min.replace(tzinfo=UTC)):
            return 0
        with self._connected() as rows:
            due = subscriptions.due(rows, subscription.name, self.runtime.clock(), ROUND_MAX)
            secrets = webhook_secrets.good_at(rows, self.runtime.clock(), subscription) if due else []
            for number, delivery in enumerate(due, 1):
                if not self._deliver(rows, subscription, secrets, delivery):
                    return number
            return len(due)

    def _deliver(self, rows: Any, subscription: Subscription, secrets: Sequence[str], delivery: Delivery) -> bool:
        """Whether to go on with the next of this subscription."""
        status, error = self._sent(subscription, secrets, delivery)
        now = self.runtime.clock()
        if status is not None and 200 <= status < 300:  # noqa: PLR2004 - what HTTP calls success
            subscriptions.note_delivered(rows, delivery, status, now)
            metrics.WEBHOOKS_SENT.labels("delivered").inc()
            return True
        seconds = RETRY_SECONDS[min(delivery.attempts, len(RETRY_SECONDS) - 1)]
        subscriptions.note_failed(rows, delivery, status, error, now + timedelta(seconds=jittered(seconds)))
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
        """The status, or what stood in the way; nothing of the answer."""
        body = delivery.body.encode()
        headers = headers_of(delivery, body, secrets, self.runtime.clock())
        try:
            return self.send(subscription.url, headers, body, self.networks), ""
        except (BadUrl, NotPublic) as error:
            return None, error.code
        except (OSError, http.client.HTTPException, ValueError) as error:
            return None, type(error).__name__

    def _disable_failed(self) -> None:
        """In this thread: the store is asked in one only."""
        failed, self._failed = self._failed, {}
        for name, because in failed.items():
            command = DisableSubscription(name=name, because=because, failed=True)
            self.runtime.append([(Cause(ACTOR), [command])])
            log.error("subscription disabled", subscription=name, because=because)


def headers_of(delivery: Delivery, body: bytes, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """The id is the event's place in the log: the same whenever it is sent."""
    message_id, seconds = f"evt_{delivery.position}", int(now.timestamp())
    return {
        "Content-Type": "application/json",
        "User-Agent": AGENT,
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": standard_signature(message_id, seconds, body, secrets),
    }


def jittered(seconds: float) -> float:
    """So that what failed together does not come back together."""
    return seconds * (1 + JITTER * random.random())
