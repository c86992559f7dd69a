"""Simulated processes at the edge: HTTP servers, and senders of webhooks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from oms_es.aggregates.operations.subscription import Subscription
from oms_es.gateways.webhooks import Networks
from oms_es.kernel import Command
from oms_es.memory.client import NEVER
from oms_es.processing.committer import Answer, Work, next_batch
from oms_es.processing.intake.screening import everything_passes
from oms_es.simulation.nodes.engine_node import DecidingNode, Going, Ground
from oms_es.simulation.nodes.node import Node
from oms_es.store.encoding.codec import Cause

LOOKS_SECONDS = 5.0


class Reply:
    """The answer that a client waits for; None if the connection broke."""

    def __init__(self, client: Node) -> None:
        self.client = client
        self.answer: Answer | None = None

    def give(self, answer: Answer) -> None:
        self.answer = answer
        self.hang_up()

    def hang_up(self) -> None:
        self.client.simulation.scheduler.wake(self.client.task)


class ServerNode(DecidingNode):
    """A server that answers waiting requests batch by batch; those that wait when it crashes are never answered."""

    waiting: deque[tuple[Work, Reply]] | None = None

    def ask(self, work: Work, reply: Reply) -> bool:
        """Queue a request; return False if the server is down."""
        if self.waiting is None:
            return False
        self.waiting.append((work, reply))
        self.wake()
        return True

    def work(self) -> None:
        ground, components = self.simulation, self.simulation.components
        answering = components.answering(self.store(), everything_passes, components.answers(self, ground.database))
        waiting: deque[tuple[Work, Reply]] = deque()
        self.waiting = waiting
        batch: list[tuple[Work, Reply]] = []
        try:
            while True:
                batch = next_batch(waiting)
                if not batch:
                    self.wait(NEVER)
                    continue
                answers = answering.answers([work for work, _ in batch])
                for (work, reply), answer in zip(batch, answers, strict=True):
                    ground.answered(work, answer)
                    reply.give(answer)
        finally:
            self.waiting = None
            for _, reply in (*batch, *waiting):
                reply.hang_up()


class SenderNode(DecidingNode):
    """A process that sends webhooks, or is a standby."""

    def work(self) -> None:
        ground, components = self.simulation, self.simulation.components
        tables = lambda: components.deliveries(self, ground.database)  # noqa: E731 - used once, and short
        deliverer = components.deliverer(Sending(self.store(), self.clock), tables, (), self._post)
        deliverer.each = one_after_the_other
        deliverer.random = ground.chance.random
        deliverer.run(Going(self), LOOKS_SECONDS)

    def _post(self, url: str, headers: Mapping[str, str], body: bytes, _networks: Networks) -> int:
        return self.simulation.receivers.post(self, url, headers, body)


class Sending:
    """The part of the engine that a sender uses."""

    def __init__(self, store: Any, clock: Callable[[], datetime]) -> None:
        self.store = store
        self.clock = clock

    def append(self, batch: Sequence[tuple[Cause, Sequence[Command]]]) -> None:
        self.store.execute(batch)


def one_after_the_other(send: Callable[[Subscription], int], subscriptions: Sequence[Subscription]) -> Sequence[int]:
    return [send(subscription) for subscription in subscriptions]


def doors_of(ground: Ground) -> tuple[list[ServerNode], list[SenderNode]]:
    """Return the servers and senders of the scenario, numbered after the nodes and the clients."""
    scenario = ground.scenario
    first = scenario.nodes + scenario.clients
    servers = [ServerNode(ground, first + n, f"server {n}", 0.0) for n in range(scenario.servers)]
    first += scenario.servers
    senders = [SenderNode(ground, first + n, f"sender {n}", 0.0) for n in range(scenario.senders)]
    return servers, senders
