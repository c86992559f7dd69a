"""A simulated process that has all roles and follows the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from oms_es.app import CONSUMERS, PROJECTIONS
from oms_es.app.workers import CALLBACK_ROLES
from oms_es.memory.lookups import MemoryLookups
from oms_es.processing.chain import FOLLOWING_MAX, NEW_MAX
from oms_es.processing.gateway_worker import GatewayWorker
from oms_es.processing.readers import ConsumerWorker, FeedReader, ProjectionWorker
from oms_es.simulation.nodes.engine_node import CACHE_BYTES_MAX, RETRY_SECONDS, EngineNode, Going
from oms_es.simulation.nodes.interruptible import (
    Awake,
    AwakeChain,
    AwakeLoop,
    SortedLog,
)
from oms_es.store.caching import Budget
from oms_es.store.store import OUTAGES

RESTS_SHARE = 0.1
"""The share of idle turns in which a reader saves its position while there are faults."""

CHAINS_NEW_MAX = (0, 10, NEW_MAX, NEW_MAX)

CHAINS_FOLLOWING_MAX = (1, 10, FOLLOWING_MAX)
"""Limits on how much a node may take into one chain; one is drawn when it starts."""

BEHIND_SHARE = 0.3
"""The share of starting nodes whose readers each read what they have missed."""


class LogNode(EngineNode):
    """A node with all roles, following the log."""

    def work(self) -> None:
        while True:
            try:
                loop = self._assembled()
                loop.seek()
            except OUTAGES:
                self.sleep(RETRY_SECONDS)
            else:
                break
        self.loop = loop
        loop.run(Going(self))

    def _assembled(self) -> AwakeLoop:
        ground, components = self.simulation, self.simulation.components
        database, batch_max = ground.database, ground.scenario.batch_max
        store, lookups = self.store(), MemoryLookups(self, ground.database)
        log = SortedLog(store.recorder, ground.codec)
        if ground.chance.random() < BEHIND_SHARE:
            log.start_at(store.recorder.end())

        def awake(reader: FeedReader) -> Awake:
            return Awake(reader, log)

        budget = Budget(ground.chance.choice(CACHE_BYTES_MAX))
        folding = [
            ProjectionWorker(components.read_model(p, components.rows(self, database, p.table), budget), log, batch_max)
            for p in PROJECTIONS
        ]
        projections = [awake(worker) for worker in folding]
        positions = {projection.name: projection for projection in projections}

        def fact_position(names: frozenset[str]) -> int:
            return min(positions[name].seen() for name in names)

        reacting = [
            components.consumer(consumer, store, log, lookups, fact_position, batch_max) for consumer in CONSUMERS
        ]
        consumers = [awake(worker) for worker in reacting]
        chains = list(self._chain(reacting, folding, store, log))
        for chain in chains:
            chain.awake = [*consumers, *projections]
        return AwakeLoop(
            [
                *chains,
                *consumers,
                *(
                    awake(GatewayWorker(gateway, store, log, batch_max, self.timing.monotonic))
                    for gateway in self.gateways()
                ),
                *(self.callbacks(name, store, log) for name in CALLBACK_ROLES),
                *chains,
                *projections,
                self.ticker(store, log),
                self.sealer(),
            ],
            Idle(self),
            ground.scenario.poll_seconds,
            log.refresh,
            self.timing,
            save=store.recorder.move_at_rest,
        )

    def _chain(
        self, consumers: Sequence[ConsumerWorker], projections: Sequence[ProjectionWorker], store: Any, log: SortedLog
    ) -> Iterator[AwakeChain]:
        """Yield a chain, possibly with small limits, or none."""
        new_max = self.simulation.chance.choice(CHAINS_NEW_MAX)
        if new_max:
            following_max = self.simulation.chance.choice(CHAINS_FOLLOWING_MAX)
            yield self.simulation.components.chain(consumers, projections, store, log, new_max, following_max)


class Idle:
    """The waiter of a node that follows the log."""

    def __init__(self, node: LogNode) -> None:
        self.node = node

    def wait(self, seconds: float) -> bool:
        self.node.check()
        self.node.wait(seconds)
        simulation, loop = self.node.simulation, self.node.loop
        assert loop
        loop.rests = simulation.settling or simulation.chance.random() < RESTS_SHARE
        return True
