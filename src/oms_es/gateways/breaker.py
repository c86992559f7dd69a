"""A circuit breaker for one gateway: after several failures in a row the gateway gets no request for a while, then one.

Invariant: while the circuit is open, nothing is sent. After that time it is half open: one request is sent, another one
each time; its outcome closes the circuit or opens it again. A single request that is never answered opens no circuit:
the failures in a row must be of several requests. The breaker decides about no request: one that is not sent stays
where it is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Literal, NamedTuple
from uuid import UUID

import structlog

from oms_es.processing import metrics

FAILURES_MAX = 3
OPEN_SECONDS = 30.0
State = Literal["closed", "open", "half_open"]

log = structlog.get_logger(__name__)


class Circuit(NamedTuple):
    """The state of a circuit. `why`: the error that opened it; empty while it is closed."""

    gateway: str
    state: State
    since: datetime
    why: str = ""


class Limits(NamedTuple):
    """`failures_max`: failures in a row that open the circuit; `open_seconds`: how long it then stays open."""

    failures_max: int = FAILURES_MAX
    open_seconds: float = OPEN_SECONDS


class Breaker:
    """The breaker of one gateway. `note` is called with each change, and with a process's first success."""

    def __init__(
        self,
        gateway: str,
        limits: Limits = Limits(),  # noqa: B008 - an immutable tuple
        note: Callable[[Circuit], None] = lambda _circuit: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.gateway = gateway
        self.limits = limits
        self.note = note
        self.monotonic = monotonic
        self.circuit = Circuit(gateway, "closed", datetime.now(UTC))
        self.tries = 0
        """How often the circuit was half open: it determines which of the waiting requests is sent next."""
        self._failures = 0
        self._failed: set[UUID] = set()
        self._opened_at = 0.0
        self._noted = False
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        return self.circuit.state != "closed"

    def allowed(self, wanted: int) -> slice:
        """Return the slice of `wanted` requests that may be sent now: all of them, one, or none."""
        with self._lock:
            if self.circuit.state == "closed":
                return slice(0, wanted)
            if not wanted or self.monotonic() - self._opened_at < self.limits.open_seconds:
                return slice(0, 0)
            if self.circuit.state == "open":
                self._change("half_open", self.circuit.why)
            at = self.tries % wanted
            self.tries += 1
            return slice(at, at + 1)

    def succeeded(self) -> None:
        with self._lock:
            self._failures = 0
            self._failed.clear()
            if self.circuit.state != "closed" or not self._noted:
                self._change("closed", "")

    def failed(self, why: str, keys: Iterable[UUID]) -> None:
        """Count a failure. `keys`: of the requests that were not answered."""
        with self._lock:
            self._failures += 1
            self._failed.update(keys)
            are_many = self._failures >= self.limits.failures_max and len(self._failed) > 1
            if self.circuit.state == "half_open" or are_many:
                self._opened_at = self.monotonic()
                self._change("open", why)

    def _change(self, state: State, why: str) -> None:
        """Change the circuit's state. If an attempt failed and it opens again, the time when it first
        opened is kept."""
        reopened = self.circuit.state == "half_open" and state == "open"
        since = self.circuit.since if state == "half_open" or reopened else datetime.now(UTC)
        if self.circuit.state == "closed" or state == "closed":
            said = log.warning if state == "open" else log.info
            said("circuit of a gateway", gateway=self.gateway, state=state, why=why)
        self.circuit = Circuit(self.gateway, state, since, why)
        self._noted = True
        metrics.GATEWAY_OPEN.labels(self.gateway).set(0 if state == "closed" else 1)
        self.note(self.circuit)
