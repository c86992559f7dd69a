"""The common parts of all simulated processes of the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from pydantic_core import to_json

from oms_es.app import PARSERS
from oms_es.app.invoicing.issuing import InvoicingGateway
from oms_es.gateways.breaker import Breaker, Limits
from oms_es.gateways.carrier import port as carrier
from oms_es.gateways.payment import port as payment_provider
from oms_es.gateways.payment.routing import Providers
from oms_es.gateways.simulated.carrier import SimulatedCarrier
from oms_es.gateways.simulated.effects import CARRIER_CALLBACKS, PAYMENT_CALLBACKS
from oms_es.gateways.simulated.modes import Chaos, Hazards
from oms_es.gateways.simulated.payment_provider import SimulatedPaymentProvider
from oms_es.gateways.simulated.warehouse import SimulatedWarehouse
from oms_es.kafka.cloudevents import CloudEventsCodec
from oms_es.kernel import Command, Decider, Event, Gateway, GatewayUnavailable, Lookup, Recorded
from oms_es.memory.database import Database
from oms_es.memory.lookups import MemoryLookups
from oms_es.processing.committer import Answer, Work
from oms_es.processing.intake.webhooks import Webhook
from oms_es.processing.intake.worker import IntakeWorker, Limit
from oms_es.processing.ticker import Ticker
from oms_es.projections.operations import deadlines
from oms_es.schemas.catalog.routes import PublishGatewayRoutes
from oms_es.schemas.finance.invoicing import InvoiceCorrectionRequested, InvoiceIssued
from oms_es.simulation.components import Components
from oms_es.simulation.nodes.interruptible import (
    AwakeIntake,
    AwakeLoop,
    AwakeSealer,
    AwakeTicker,
)
from oms_es.simulation.nodes.node import Node, Simulation
from oms_es.simulation.scenario import Action, Scenario, World
from oms_es.simulation.world.broker import Broker
from oms_es.simulation.world.external_systems import (
    FIRST,
    SECOND,
    MemoryCallbacks,
    MemoryEffectStore,
    MemoryPapers,
    Outside,
)
from oms_es.simulation.world.receivers import Receivers
from oms_es.simulation.world.sealed_log import SealedLog
from oms_es.store.encoding.codec import Codec
from oms_es.store.log import Feed
from oms_es.store.store import OUTAGES

NO_EVENTS: Mapping[str, type[Event]] = {}
"""No event types: the store gets the codec of its seed instead."""

RETRY_SECONDS = 1.0
LIMITS = Limits(failures_max=1_000_000)
"""Circuits that stay closed: a simulated provider never takes in some requests, and where no other request follows that
it answers, such a one would be held for ever. test_outages.py plays circuits that open."""

ATTACHED = Lookup("document_attachments", by="entity_id", keys=lambda entity_id: (entity_id,), order_by="position")

CACHE_BYTES_MAX = (0, 20_000, 50_000_000)
"""Sizes of the caches of states and of rows, one of which is drawn when a node starts: nothing, some, or everything is
cached."""

UNANSWERED: tuple[type[Exception], ...] = (GatewayUnavailable, *OUTAGES)

DIALECTS = {PAYMENT_CALLBACKS: "payment_callback", CARRIER_CALLBACKS: "carrier_callback"}


class Server(Protocol):
    """The interface of a server for clients."""

    def ask(self, work: Work, reply: Any) -> bool: ...
    def receive(self, webhook: Webhook, reply: Any) -> bool: ...


class Ground(Simulation, Protocol):
    """What nodes know of the whole play. `settling`: the faults are over."""

    settling: bool

    scenario: Scenario
    components: Components
    deciders: tuple[Decider[Any], ...]
    database: Database
    sealed: SealedLog
    broker: Broker
    outside: Outside
    codec: Codec
    cloudevents: CloudEventsCodec
    receivers: Receivers

    @property
    def servers(self) -> Sequence[Server]: ...

    def answered(self, work: Work, answer: Answer) -> None:
        """Note that a server has the answer to a request."""

    def taken(self, work: Work) -> None:
        """Note that a server has committed the command of a webhook."""

    def accepted(self, action: Action) -> None:
        """Note that a client got the answer that its request is done."""

    def stopped(self, what: str, error: BaseException) -> None:
        """Note that a reader stopped at an event that it cannot process."""


def chaos_of(world: World, seed: int) -> Chaos:
    return Chaos(
        seed,
        world.decline,
        world.timeout,
        world.duplicate,
        world.late,
        world.silent,
        world.soft_decline,
        world.reordered,
        world.expire,
        world.dispute,
        world.refund_failure,
    )


def hazards_of(world: World) -> Hazards:
    return Hazards(
        silent=world.mute,
        lost=world.lost,
        exception=world.exception,
        returned=world.returned,
        refused=world.refused,
        stubborn=world.stubborn,
        pickup_seconds=world.pickup_seconds,
        reused=world.reused,
    )


class Going:
    """The stop signal of a loop, which is never set: a node ends by a crash."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def is_set(self) -> bool:
        return False

    def wait(self, timeout: float) -> bool:
        self.node.sleep(timeout)
        return False


class DecidingNode(Node):
    """A node that decides commands on the database, beside whatever else it does."""

    simulation: Ground

    def store(self) -> Any:
        ground, components = self.simulation, self.simulation.components
        recorder = components.recorder(self, ground.database)
        states_bytes_max = ground.chance.choice(CACHE_BYTES_MAX)
        store = components.store(ground.deciders, NO_EVENTS, recorder, self.clock, states_bytes_max, self.timing)
        store.codec = ground.codec
        return store


class EngineNode(DecidingNode):
    """The common parts of every process of the engine."""

    def __init__(self, simulation: Ground, number: int, skew_seconds: float) -> None:
        super().__init__(simulation, number, f"node {number}", skew_seconds)
        self.loop: AwakeLoop | None = None

    def gateways(self) -> Sequence[Gateway]:
        world, effect_store = (
            self.simulation.scenario.world,
            self.simulation.components.effect_store(self, self.simulation.outside),
        )
        seed = self.simulation.scenario.seed
        chaos = chaos_of(world, seed)
        sends = SimulatedCarrier(
            effect_store, chaos, world.transit_seconds, hazards_of(world), self.simulation.outside.recall
        )
        return (
            payment_provider.PaymentGateway(self._payment_provider(effect_store, chaos)),
            SimulatedWarehouse(),
            carrier.CarrierGateway(sends),
            self._invoicing(),
        )

    def _payment_provider(self, effect_store: MemoryEffectStore, chaos: Chaos) -> payment_provider.PaymentProvider:
        """Return one provider, or two of them if the scenario has routes between them."""
        ground, first = self.simulation, SimulatedPaymentProvider(effect_store, chaos)
        if not any(isinstance(action.ask, PublishGatewayRoutes) for action in ground.scenario.actions):
            return first
        other = SimulatedPaymentProvider(ground.components.effect_store(self, ground.outside, SECOND), chaos)
        breakers = {name: Breaker(name, LIMITS, monotonic=lambda: ground.now) for name in (FIRST, SECOND)}
        return Providers({FIRST: first, SECOND: other}, breakers, lambda _ask: FIRST)

    def _invoicing(self) -> InvoicingGateway:
        """Return the gateway for invoices, whose documents are the events themselves: no decision depends on their
        layout."""
        ground = self.simulation
        recorder = ground.components.recorder(self, ground.database)
        papers = MemoryPapers(self, ground.outside)

        def stream(name: str) -> list[Recorded]:
            return [ground.codec.decode(row, row.id) for row in recorder.stream(name)]

        def at(position: int) -> Recorded:
            (row,) = recorder.after(position - 1, 1)
            return ground.codec.decode(row, row.id)

        lookups = MemoryLookups(self, ground.database)

        def attached(issued: InvoiceIssued) -> bool:
            found = lookups.fetch({ATTACHED: [issued.order_id]})[ATTACHED.projection][issued.order_id]
            return any((row["kind"], row["reference"]) == (issued.kind, issued.name) for row in found)

        def corrections(series: str, number: int) -> list[Recorded]:
            asked = [one for one in stream(series) if isinstance(one.event, InvoiceCorrectionRequested)]
            return [one for one in asked if one.event.number == number]  # type: ignore[attr-defined] # of that type

        return InvoicingGateway(stream, at, lookups, to_json, papers.keep, attached, corrections)

    def callbacks(self, name: str, store: Any, feed: Feed) -> IntakeWorker:
        source = MemoryCallbacks(self, self.simulation.outside, name, DIALECTS[name])
        return self.follow(source, PARSERS[source.dialect], store, feed)

    def follow(self, source: Any, parse: Any, store: Any, feed: Feed, limit: Limit | None = None) -> IntakeWorker:
        worker = AwakeIntake(source, parse, store, feed, self.simulation.scenario.batch_max, limit)
        worker.intake = self.simulation.components.intake(source.name, source.dialect, parse, store, feed, tracked=True)
        return worker

    def ticker(self, store: Any, feed: Feed) -> Ticker:
        return AwakeTicker(self._due, store, feed, self.clock, self.timing)

    def sealer(self) -> AwakeSealer:
        ground = self.simulation
        return AwakeSealer(ground.components.sealing(self, ground.database, ground.sealed), self.timing)

    def _due(self, now: datetime, limit: int) -> Sequence[Command]:
        found = self.simulation.database.tables[deadlines.projection.name].found(None, None, "due_at", limit)
        due = [row for row in found if row["due_at"] <= now]
        return tuple(self.simulation.components.due(due, now)) if due else ()

    def check(self) -> None:
        """Report stopped readers: each is a bug, as the engine's own events are never bad input."""
        assert self.loop
        for name, error in self.loop.stopped.items():
            self.simulation.stopped(name, error)
