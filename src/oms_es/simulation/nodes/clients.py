"""Simulated clients: channels and people, who send requests from a script."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from oms_es.channels.signatures import BadSignature, standard_signature
from oms_es.kafka.client import Outgoing, TopicPartition, partition_of
from oms_es.kernel import Command, GatewayUnavailable, Refused
from oms_es.processing.committer import Busy, Key, Work
from oms_es.processing.intake.webhooks import Webhook
from oms_es.processing.intake.worker import Arrival
from oms_es.schemas.order import PlaceOrder
from oms_es.schemas.topics import CHANNEL_ORDERS
from oms_es.simulation.nodes.doors import WEBHOOK_SECRETS, Reply
from oms_es.simulation.nodes.engine_node import DIALECTS, RETRY_SECONDS, UNANSWERED, DecidingNode, Ground
from oms_es.simulation.scenario import Action, Ask, Forged, OutsideCallback
from oms_es.simulation.world.broker import MemoryPublisher
from oms_es.store.encoding.codec import Cause
from oms_es.store.log import NullFeed

POSTING_CHANNEL = "shop"
"""The channel whose orders come as webhooks where there are servers."""
FORGED_SECRET = "whsec_" + b64encode(b"of another".ljust(32)).decode()
FETCHED_SHARE = 0.5
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
        if self.simulation.servers and (posted := self._webhook(ask)):
            self._post(posted, is_forged=isinstance(ask, Forged))
            return
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
        payload = _payload(ask)
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

    def _webhook(self, ask: Ask) -> Webhook | None:
        """Return what is sent as a webhook: what cannot be used, the orders of one of the channels, and half of the
        callbacks; the others are fetched from where they came from."""
        source, place = f"webhook:{self.name}", str(self.next)
        if isinstance(ask, OutsideCallback):
            if self.simulation.chance.random() < FETCHED_SHARE:
                return None
            return Webhook(source, place, DIALECTS[ask.source], ask.payload)
        if isinstance(ask, Command) and not (isinstance(ask, PlaceOrder) and ask.channel == POSTING_CHANNEL):
            return None
        return Webhook(source, place, "canonical", _payload(ask))

    def _post(self, webhook: Webhook, *, is_forged: bool) -> None:
        """Send a webhook, with a new signature each time. Raise one of UNANSWERED if it has to be sent again."""
        ground = self.simulation
        self.touch(GatewayUnavailable)
        secret = FORGED_SECRET if is_forged else ground.chance.choice(WEBHOOK_SECRETS)
        message_id, seconds = f"{self.number}-{self.next}", int(self.clock().timestamp())
        headers = (
            ("webhook-id", message_id),
            ("webhook-timestamp", str(seconds)),
            ("webhook-signature", standard_signature(message_id, seconds, webhook.body, [secret])),
        )
        reply = Reply(self, webhook, headers)
        if ground.chance.choice(ground.servers).receive(webhook, reply):
            self.wait(ANSWER_SECONDS_MAX)
        self.touched(GatewayUnavailable)
        if is_forged and isinstance(reply.answer, BadSignature):
            return
        if reply.answer is None or isinstance(reply.answer, (Busy, BadSignature)):
            raise GatewayUnavailable("no answer, or none that ends it")
        if isinstance(reply.answer, UNANSWERED):
            raise reply.answer


def _payload(ask: Ask) -> bytes:
    assert not isinstance(ask, OutsideCallback)
    if isinstance(ask, bytes):
        return ask
    order = ask.order if isinstance(ask, Forged) else ask
    return order.model_dump_json(exclude_defaults=True).encode()


def clients_of(ground: Ground) -> list[Client]:
    scenario = ground.scenario
    return [
        Client(ground, scenario.nodes + number, [a for a in scenario.actions if a.client == number])
        for number in range(scenario.clients)
    ]
