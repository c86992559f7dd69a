"""The outside world in memory: effects of providers and carriers, and the callbacks that they will send.

The logic is that of gateways/simulated/simulators.py; only the storage and the arrival of callbacks are here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from heapq import heapify, heappop, heappush
from uuid import UUID

from oms_es.gateways.simulated.effects import CARRIER_CALLBACKS, PAYMENT_CALLBACKS, Effect, PendingCallback
from oms_es.kernel import GatewayUnavailable
from oms_es.memory.client import outage
from oms_es.processing.intake.worker import Arrival
from oms_es.simulation.nodes.node import Node
from oms_es.simulation.requests.workload import EPOCH

FIRST, SECOND = "stripe", "alipay"
"""Names of payment gateways. The first one takes what names none."""
STRAYS = {
    PAYMENT_CALLBACKS: b'{"operation": "void", "outcome": "succeeded", "payment_id": "stranger", "reference": "s"}',
    CARRIER_CALLBACKS: (b'{"shipment_id": "stranger", "status": "picked_up", "occurred_at": "2026-01-05T08:00:00Z"}'),
}
"""Callbacks about something that was never requested."""


class Outside:
    """The outside world. `on_effect` gets every effect when it happens, with the gateway at which it does."""

    def __init__(self, now: Callable[[], float], on_effect: Callable[[Effect, str], None]) -> None:
        self.now = now
        self.on_effect = on_effect
        self.known: dict[str, dict[UUID, Effect]] = defaultdict(dict)
        """The effects by gateway: none knows what another was asked."""
        self.papers: dict[str, bytes] = {}
        self.queued: dict[str, list[tuple[float, int, bytes]]] = defaultdict(list)
        self.delivered: dict[str, list[bytes]] = defaultdict(list)
        self.listening: list[Node] = []
        self.away_until = 0.0
        self.strays = 0
        self._numbers = 0

    def clock(self) -> datetime:
        return EPOCH + timedelta(seconds=self.now())

    def queue(self, callback: PendingCallback, node: Node) -> None:
        """Send a callback; others may overtake it on its way."""
        simulation = node.simulation
        due = (callback.due_at - EPOCH).total_seconds() + simulation.latency_seconds * simulation.chance.expovariate(
            0.2
        )
        self._numbers += 1
        heappush(self.queued[callback.source], (due, self._numbers, callback.payload))
        if self.strays:
            self.strays -= 1
            heappush(self.queued[callback.source], (due, self._numbers, STRAYS[callback.source]))
        simulation.scheduler.after(max(0.0, due - self.now()), self.arrive)

    def deliver(self, source: str, payload: bytes) -> None:
        """Let a callback arrive now."""
        self._numbers += 1
        heappush(self.queued[source], (self.now(), self._numbers, payload))
        self.arrive()

    def arrive(self) -> None:
        for node in self.listening:
            node.wake()

    def read(self, source: str, after: int, limit: int) -> list[Arrival]:
        queued, now = self.queued[source], self.now()
        while queued and queued[0][0] <= now:
            self.delivered[source].append(heappop(queued)[2])
        payloads = self.delivered[source][after : after + limit]
        return [Arrival(number, payload) for number, payload in enumerate(payloads, after + 1)]

    def has_more(self, source: str, after: int) -> bool:
        """Return whether a callback can be read after the position."""
        queued = self.queued[source]
        return len(self.delivered[source]) > after or bool(queued and queued[0][0] <= self.now())

    def recall(self, source: str, shipment_id: str) -> bool:
        """Remove the queued callbacks of a shipment before its pick-up; return whether they were removed."""
        name = f'"{shipment_id}"'.encode()
        about = [callback for callback in self.queued[source] if name in callback[2]]
        if not any(b'"picked_up"' in callback[2] for callback in about):
            return False
        self.queued[source] = [callback for callback in self.queued[source] if callback not in about]
        heapify(self.queued[source])
        return True

    def outstanding(self) -> int:
        return sum(len(queued) for queued in self.queued.values())


class MemoryEffectStore:
    """The storage of the outside world, through one node's connection to it, as one gateway has it."""

    def __init__(self, node: Node, outside: Outside, gateway: str = FIRST) -> None:
        self.node = node
        self.outside = outside
        self.gateway = gateway
        self.clock = outside.clock

    def effects(
        self,
        asked: Sequence[tuple[UUID, Callable[[], Effect]]],
        callbacks_of: Callable[[Effect], Iterable[PendingCallback]],
    ) -> tuple[dict[UUID, Effect], set[UUID]]:
        self.touch()
        new: set[UUID] = set()
        for key, make in asked:
            if key not in self._known:
                self._do(key, make(), callbacks_of)
                new.add(key)
        self.node.touched(GatewayUnavailable)
        return self._known, new

    @property
    def _known(self) -> dict[UUID, Effect]:
        return self.outside.known[self.gateway]

    def known(self, keys: Sequence[UUID]) -> dict[UUID, Effect]:
        self.touch()
        return {key: self._known[key] for key in keys if key in self._known}

    def touch(self) -> None:
        self.node.touch(GatewayUnavailable)
        if self.outside.now() < self.outside.away_until:
            raise outage(GatewayUnavailable, "the world is away")

    def close(self) -> None:
        """Do nothing: the storage belongs to the outside world."""

    def _do(self, key: UUID, effect: Effect, callbacks_of: Callable[[Effect], Iterable[PendingCallback]]) -> None:
        self._known[key] = effect
        self.outside.on_effect(effect, self.gateway)
        for callback in callbacks_of(effect):
            self.outside.queue(callback, self.node)


class MemoryPapers:
    """Where one node keeps documents, by their hash."""

    def __init__(self, node: Node, outside: Outside) -> None:
        self.node = node
        self.outside = outside

    def keep(self, content: bytes) -> str:
        self.node.touch(GatewayUnavailable)
        address = sha256(content).hexdigest()
        self.outside.papers[address] = content
        self.node.touched(GatewayUnavailable)
        return address


class MemoryCallbacks:
    """The callbacks of one kind of outside system."""

    def __init__(self, node: Node, outside: Outside, name: str, dialect: str) -> None:
        self.node = node
        self.outside = outside
        self.name = name
        self.dialect = dialect
        if node not in outside.listening:
            outside.listening.append(node)

    def has_more(self, after: int) -> bool:
        return self.outside.has_more(self.name, after)

    def read(self, after: int, limit: int) -> Sequence[Arrival]:
        arrivals = self.outside.read(self.name, after, limit)
        if arrivals:
            self.node.touch(GatewayUnavailable)
        return arrivals
