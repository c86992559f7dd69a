"""Simulated processes at the edge: HTTP servers, which take requests and webhooks, and senders of webhooks."""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from oms_es.aggregates.operations.subscription import Subscription
from oms_es.app import PARSERS
from oms_es.channels.signatures import BadSignature, Headers
from oms_es.gateways.webhooks import Networks
from oms_es.kernel import BadInput, Command, Skipped
from oms_es.memory.client import NEVER
from oms_es.processing.committer import Answer, Busy, Work, next_batch
from oms_es.processing.intake.screening import everything_passes
from oms_es.processing.intake.webhooks import Webhook
from oms_es.processing.intake.worker import Parser
from oms_es.simulation.nodes.engine_node import UNANSWERED, DecidingNode, Going, Ground
from oms_es.simulation.nodes.node import Node
from oms_es.store.encoding.codec import Cause

LOOKS_SECONDS = 5.0
WEBHOOK_SECRETS = tuple("whsec_" + b64encode(name.ljust(32)).decode() for name in (b"before the rotation", b"after it"))
"""The valid secrets of the senders' connection, which is being given a new one."""


class Reply:
    """The answer that a client waits for; None if the connection broke. `webhook`, `headers`: what it sent, if it is no
    request with a command."""

    def __init__(self, client: Node, webhook: Webhook | None = None, headers: Headers = ()) -> None:
        self.client = client
        self.webhook = webhook
        self.headers = headers
        self.answer: Answer | HTTPStatus | None = None

    def give(self, answer: Answer | HTTPStatus) -> None:
        self.answer = answer
        self.hang_up()

    def hang_up(self) -> None:
        self.client.simulation.scheduler.wake(self.client.task)


class ServerNode(DecidingNode):
    """A server that answers waiting requests batch by batch; those that wait when it crashes are never answered."""

    waiting: deque[tuple[Work, Reply]] | None = None
    webhooks: deque[tuple[Webhook, Reply]]

    def ask(self, work: Work, reply: Reply) -> bool:
        """Queue a request; return False if the server is down."""
        if self.waiting is None:
            return False
        self.waiting.append((work, reply))
        self.wake()
        return True

    def receive(self, webhook: Webhook, reply: Reply) -> bool:
        """Queue a webhook; return False if the server is down."""
        if self.waiting is None:
            return False
        self.webhooks.append((webhook, reply))
        self.wake()
        return True

    def work(self) -> None:
        ground, components = self.simulation, self.simulation.components
        store = self.store()
        answering = components.answering(store, everything_passes, components.answers(self, ground.database))
        self.waiting = waiting = deque[tuple[Work, Reply]]()
        self.webhooks = deque()
        batch: list[tuple[Work, Reply]] = []
        try:
            while True:
                self._open(store)
                batch = next_batch(waiting)
                if not batch:
                    self.wait(NEVER)
                    continue
                answers = answering.answers([work for work, _ in batch])
                for (work, reply), answer in zip(batch, answers, strict=True):
                    reply.give(self._noted(store, work, reply, answer))
        finally:
            self.waiting = None
            for _, reply in (*batch, *waiting, *self.webhooks):
                reply.hang_up()

    def _open(self, store: Any) -> None:
        """Verify the webhooks that have come, and let the commands of those that can be used wait with the others."""
        assert self.waiting is not None
        while self.webhooks:
            webhook, reply = self.webhooks[0]
            try:
                self.simulation.components.verifier(
                    reply.headers, webhook.body, WEBHOOK_SECRETS, self.clock().timestamp()
                )
                self.waiting.append((webhook.work(self._parser(webhook.dialect)), reply))
            except BadSignature as bad:
                reply.give(bad)
            except (BadInput, Skipped) as error:
                reply.give(self._kept(store, webhook, error))
            self.webhooks.popleft()

    def _parser(self, dialect: str) -> Parser:
        return self.simulation.components.orders if dialect == "canonical" else PARSERS[dialect]

    def _noted(self, store: Any, work: Work, reply: Reply, answer: Answer) -> Answer | HTTPStatus:
        if reply.webhook is None:
            self.simulation.answered(work, answer)
            return answer
        if isinstance(answer, Exception):
            self.simulation.answered(work, answer)  # an error of the program's own is not only kept
            return self._kept(store, reply.webhook, answer)
        self.simulation.taken(work)
        return HTTPStatus.OK

    def _kept(self, store: Any, webhook: Webhook, error: Exception) -> Answer | HTTPStatus:
        """Return what the sender is answered, once what cannot be used is stored."""
        try:
            if dead_letter := webhook.dead_letter(error):
                self.simulation.components.keep(store.recorder, dead_letter)
        except Busy as busy:
            return busy
        except UNANSWERED as unanswered:
            return unanswered
        return HTTPStatus.ACCEPTED


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
