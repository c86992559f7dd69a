"""Simulated clients: channels and people, who send requests from a script."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from oms_es.kafka.client import Outgoing, TopicPartition, partition_of
from oms_es.kernel import Command, GatewayUnavailable, Refused
from oms_es.processing.committer import Busy, Key, Work
from oms_es.processing.intake.worker import Arrival
from oms_es.schemas.order import PlaceOrder
from oms_es.schemas.topics import CHANNEL_ORDERS
from oms_es.simulation.nodes.doors import Reply
from oms_es.simulation.nodes.engine_node import RETRY_SECONDS, UNANSWERED, DecidingNode, Ground
from oms_es.simulation.scenario import Action, OutsideCallback
from oms_es.simulation.world.broker import MemoryPublisher
from oms_es.store.encoding.codec import Cause
from oms_es.store.log import NullFeed

ANSWER_SECONDS_MAX = 30.0
"""How long a client waits for a server before it sends the request again."""


class Client(DecidingNode):
    """A channel or a person: sends one request after the other, each until its answer says that it is done."""

    def __init__(self, simulation: Ground, number: int, actions: Sequence[Action]) -> None:
        self.actions = actions
        self.next = 0
        super().__init__(simulation, number, f"client {number}", 0.0)

    @property
    def done(self) -> bool:
        return self.next == len(self.actions)

    def work(self) -> None:
        ground, components = self.simulation, self.simulation.components
        store = self.store()
        intake = components.intake(self.name, "canonical", components.orders, store, NullFeed(), tracked=False)
        producer = MemoryPublisher(self, ground.broker) if ground.scenario.topology == "workers" else None
        while not self.done:
            action = self.actions[self.next]
            if action.at > ground.now:
                self.sleep(action.at - ground.now)
            try:
                self._ask(action, store, intake, producer)
            except UNANSWERED:
                self.sleep(RETRY_SECONDS)
            else:
                ground.accepted(action)
                self.next += 1

    def _ask(self, action: Action, store: Any, intake: Any, producer: MemoryPublisher | None) -> None:
        ask = action.ask
        if isinstance(ask, OutsideCallback):
            self.simulation.outside.deliver(ask.source, ask.payload)
            return
        if isinstance(ask, Command) and self.simulation.servers:
            self._ask_a_server(ask)
            return
        if isinstance(ask, Command) and not isinstance(ask, PlaceOrder):
            try:
                store.execute([(Cause(self.name), [ask])])
            except Refused:
                return  # a refusal is an answer, too
            except UNANSWERED:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, it is not an answer
                self.simulation.stopped(self.name, error)
            return
        payload = ask if isinstance(ask, bytes) else ask.model_dump_json(exclude_defaults=True).encode()
        if producer is None:
            intake.take([Arrival(self.next + 1, payload)])
            return
        key = ask.external_id.encode() if isinstance(ask, PlaceOrder) else b"?"
        topic_partition = TopicPartition(CHANNEL_ORDERS, partition_of(key, self.simulation.scenario.partitions))
        producer.publish([Outgoing(topic_partition, key, payload, [])])

    def _ask_a_server(self, ask: Command) -> None:
        """Send the request over HTTP, with the same idempotency key each time. Raise one of UNANSWERED."""
        ground = self.simulation
        self.touch(GatewayUnavailable)
        key = Key(self.name, str(self.next), sha256(repr(ask).encode()).digest())
        reply = Reply(self)
        work = Work(Cause(f"{self.name}/{self.next}"), ask, lambda: None, None, key)
        if ground.chance.choice(ground.servers).ask(work, reply):
            self.wait(ANSWER_SECONDS_MAX)
        self.touched(GatewayUnavailable)
        if reply.answer is None or isinstance(reply.answer, Busy):
            raise GatewayUnavailable("no answer")
        if isinstance(reply.answer, UNANSWERED):
            raise reply.answer


def clients_of(ground: Ground) -> list[Client]:
    scenario = ground.scenario
    return [
        Client(ground, scenario.nodes + number, [a for a in scenario.actions if a.client == number])
        for number in range(scenario.clients)
    ]
