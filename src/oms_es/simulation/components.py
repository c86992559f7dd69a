"""The components of simulated nodes: the engine's real ones, and simulations of everything outside the engine.

Replacing a component removes a guard of the design (guards.py); the engine itself has no such switch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from oms_es.app import DECIDERS, PARSERS
from oms_es.app.deliveries import Deliverer
from oms_es.channels.signatures import Verifier, verify_standard
from oms_es.consumers.order.deadline_keeper import due_commands
from oms_es.kafka.groups.feeds import PartitionFeed
from oms_es.kafka.relay.event_publisher import EventPublisher
from oms_es.kernel import Command, Decider, Row
from oms_es.memory.database import Database
from oms_es.memory.recording import MemoryAnswers, MemoryRecorder, MemoryRows
from oms_es.processing.committer import Answering
from oms_es.processing.intake.webhooks import keep
from oms_es.processing.intake.worker import Intake, Parser
from oms_es.processing.read_models.model import ReadModel
from oms_es.processing.readers import ConsumerWorker
from oms_es.simulation.nodes.interruptible import AwakeChain, AwakeGroupChain
from oms_es.simulation.world.deliveries import MemoryDeliveries
from oms_es.simulation.world.external_systems import MemoryEffectStore
from oms_es.simulation.world.relay_store import MemoryLeadership, MemoryRelayStore
from oms_es.simulation.world.sealed_log import MemorySealing
from oms_es.store.dead_letters import DeadLetter
from oms_es.store.store import Store


@dataclass(frozen=True)
class Components:
    database: type[Database] = Database
    recorder: type[MemoryRecorder] = MemoryRecorder
    rows: type[MemoryRows] = MemoryRows
    leadership: type[MemoryLeadership] = MemoryLeadership
    relay_store: type[MemoryRelayStore] = MemoryRelayStore
    effect_store: type[MemoryEffectStore] = MemoryEffectStore
    store: type[Store] = Store
    intake: type[Intake] = Intake
    chain: type[AwakeChain] = AwakeChain
    group_chain: type[AwakeGroupChain] = AwakeGroupChain
    consumer: type[ConsumerWorker] = ConsumerWorker
    read_model: type[ReadModel] = ReadModel
    sealing: type[MemorySealing] = MemorySealing
    answering: type[Answering] = Answering
    answers: type[MemoryAnswers] = MemoryAnswers
    deliverer: type[Deliverer] = Deliverer
    deliveries: type[MemoryDeliveries] = MemoryDeliveries
    publisher: type[EventPublisher] = EventPublisher
    feed: type[PartitionFeed] = PartitionFeed
    deciders: tuple[Decider[Any], ...] = DECIDERS
    due: Callable[[Iterable[Row], datetime], Iterable[Command]] = due_commands
    orders: Parser = PARSERS["canonical"]
    verifier: Verifier = verify_standard
    keep: Callable[[Any, DeadLetter], None] = keep


WHOLE = Components()
