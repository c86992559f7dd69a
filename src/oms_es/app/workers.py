"""The same engine on Kafka: every role of the registry as a consumer group, in any number of processes.

A process runs any roles. It gets events from topics, and the relay publishes what it appends; PostgreSQL holds the log,
the positions and the read models.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from oms_es.app import CONSUMERS, DECIDERS, GATEWAYS, PROJECTIONS, Runtime, parser_of
from oms_es.app.connecting.warehouse_answers import ROLE as WAREHOUSE_ANSWERS_ROLE
from oms_es.app.connecting.warehouse_answers import answers_of
from oms_es.app.engine import CHAINS, projections_looked_up
from oms_es.app.privacy.forgetter import FOR_EVER, Forgetter, Periods
from oms_es.app.reporting.reporter import Reporter
from oms_es.app.reporting.scheduled import Places
from oms_es.channels import dialect_of
from oms_es.channels.canonical import DIALECT as CANONICAL
from oms_es.database.reasons import without_rows
from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.gateways.simulated.effects import CARRIER_CALLBACKS, PAYMENT_CALLBACKS
from oms_es.kafka.client import MESSAGE_BYTES_MAX, Config, Producer, Topic, TopicPartition, no_topic
from oms_es.kafka.cloudevents import CloudEventsCodec
from oms_es.kafka.groups.feeds import EventTask, FetchSignal, PartitionFeed, PartitionTask, missing
from oms_es.kafka.groups.group_chain import GroupChain
from oms_es.kafka.groups.group_worker import GroupWorker, Heartbeats
from oms_es.kafka.groups.inputs import InputTask, PartitionSource
from oms_es.kafka.groups.membership import SESSION_SECONDS, Group
from oms_es.kafka.groups.reading import TopicReplaced
from oms_es.kafka.groups.shared_reader import SharedReader
from oms_es.kafka.groups.watermark import Published, Watermark, published_partitions, relayed
from oms_es.kafka.relay import checkpoint_publisher
from oms_es.kafka.relay.checkpoint_publisher import CheckpointPublisher
from oms_es.kafka.relay.event_publisher import EventPublisher
from oms_es.kafka.relay.leadership import Leadership
from oms_es.kafka.relay.publishers import DeadLetterPublisher, State, StatePublisher
from oms_es.kafka.relay.relay import Relay, RelaySignal
from oms_es.kafka.topic_ids import SameTopic, kept_ids, replaced, why_replaced
from oms_es.kernel import Event, Projection, Recorded
from oms_es.processing.ending import close_together
from oms_es.processing.intake.worker import BATCH_MAX as ARRIVALS_MAX
from oms_es.processing.intake.worker import IntakeWorker, Limit
from oms_es.processing.loop import Loop
from oms_es.processing.metrics import RELAY_DEPTH, Health, known
from oms_es.processing.read_models.model import ReadModel
from oms_es.processing.read_models.rows import SqlRows
from oms_es.processing.readers import PROJECTED_MAX, FeedReader, ProjectionWorker, Waiter, Worker
from oms_es.processing.sealer import Sealer
from oms_es.projections.order import order_status
from oms_es.projections.stock import stock_levels
from oms_es.schemas.topics import (
    CHANNEL_ORDERS,
    EVENT_TOPICS,
    LOG_CHECKPOINTS,
    ORDER_STATUS,
    STOCK_LEVELS,
    channel_topic,
    dead_letter_topic,
)
from oms_es.schemas.vocabulary import EVENTS as VOCABULARY
from oms_es.store import stops
from oms_es.store.log import Log, NullFeed
from oms_es.store.store import OUTAGES

PARTITIONS = 6
"""Partitions of every topic that is created here; the number never changes afterwards."""
SETTLED_SECONDS_MAX = 600.0
CHANNEL_ORDERS_ROLE = "channel_orders"
TICKER_ROLE = "ticker"
SEALER_ROLE = Sealer.name
STATES = (
    State(order_status.projection.table, ORDER_STATUS, "OrderStatus", str(order_status.__doc__)),
    State(stock_levels.projection.table, STOCK_LEVELS, "StockLevel", str(stock_levels.__doc__)),
)
PUBLISHED_READ_MODELS = frozenset(state.table.name for state in STATES)
"""Read models whose rows are published, in compacted topics."""
INPUT_ROLES = frozenset({CHANNEL_ORDERS_ROLE, TICKER_ROLE})
CONSUMER_ROLES = frozenset(consumer.name for consumer in CONSUMERS)
LOOKED_UP = projections_looked_up(CONSUMERS)
CALLBACK_ROLES = (PAYMENT_CALLBACKS, CARRIER_CALLBACKS)
DEAD_LETTERS = dead_letter_topic(CHANNEL_ORDERS, CHANNEL_ORDERS_ROLE)
CATEGORY_OF: Mapping[type[Event], str] = {event: d.category for d in DECIDERS for event in d.emits}
INTERESTS: Mapping[str, frozenset[type[Event]]] = {
    **{consumer.name: frozenset(consumer.reactions) for consumer in CONSUMERS},
    **{projection.name: frozenset(projection.folds) for projection in PROJECTIONS},
    **{gateway.name: frozenset(gateway.intents) for gateway in GATEWAYS},
}
"""The events that each role reads."""
TOPICS_OF: Mapping[str, Sequence[str]] = {
    role: sorted({EVENT_TOPICS[CATEGORY_OF[event]] for event in events}) for role, events in INTERESTS.items()
}
ROLES = (
    *INTERESTS,
    *CALLBACK_ROLES,
    WAREHOUSE_ANSWERS_ROLE,
    CHANNEL_ORDERS_ROLE,
    TICKER_ROLE,
    SEALER_ROLE,
    Forgetter.name,
    Reporter.name,
)
GROUPS_OF_ROLES: Mapping[str, Sequence[str]] = {
    "consumers": [consumer.name for consumer in CONSUMERS],
    "projections": [projection.name for projection in PROJECTIONS],
    "facts": [projection.name for projection in PROJECTIONS if projection.name in LOOKED_UP],
    "people": [projection.name for projection in PROJECTIONS if projection.name not in LOOKED_UP],
    "gateways": [*(gateway.name for gateway in GATEWAYS), *CALLBACK_ROLES, WAREHOUSE_ANSWERS_ROLE],
    "all": ROLES,
}
"""Names of several roles. Consumers decide from the looked-up read models; those for people are only shown."""


class UnknownRole(OmsError):
    """No role has this name."""

    code = "unknown_role"
    exit_code = Code.USAGE
    status = HTTPStatus.BAD_REQUEST


def roles_of(names: Iterable[str]) -> list[str]:
    """Return the roles that the names stand for. Raise UnknownRole."""
    roles = dict.fromkeys(role for name in names for role in GROUPS_OF_ROLES.get(name, (name,)))
    for role in roles:
        if role not in ROLES:
            raise UnknownRole(f"there is no role {role}; there are {', '.join((*GROUPS_OF_ROLES, *ROLES))}")
    return list(roles)


def dialects(channels: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the dialect of each input topic; `channels` have topics of their own. Raise UnknownDialect."""
    own = {channel_topic(name): dialect_of(name, dialect) for name, dialect in (channels or {}).items()}
    return {CHANNEL_ORDERS: CANONICAL, **own}


def topics(partitions: int = PARTITIONS, channels: Mapping[str, str] | None = None) -> list[Topic]:
    """Return every topic that is published or read; `channels` have topics of their own. Raise UnknownDialect."""
    return [
        *(Topic(name, partitions, compacted=False, bytes_max=MESSAGE_BYTES_MAX) for name in EVENT_TOPICS.values()),
        *(Topic(state.topic, partitions, compacted=True, bytes_max=MESSAGE_BYTES_MAX) for state in STATES),
        *(Topic(name, partitions, compacted=False, bytes_max=MESSAGE_BYTES_MAX) for name in dialects(channels)),
        Topic(DEAD_LETTERS, partitions, compacted=False),
        Topic(LOG_CHECKPOINTS, 1, compacted=False, kept=True),
    ]


class Workers(Runtime):
    """The given roles, run in this process. Use as a context manager."""

    def __init__(
        self,
        database_url: str,
        kafka: Config,
        roles: Sequence[str],
        *,
        relaying: bool = False,
        session_seconds: float = SESSION_SECONDS,
        channels: Mapping[str, str] | None = None,
        periods: Periods = FOR_EVER,
        warehouse_folder: Path | None = None,
        report_places: Places = Places(),  # noqa: B008 - an immutable tuple
        **options: Any,
    ) -> None:
        """`channels`: channels with a topic of their own beside the common one, each with its dialect. `periods`: how
        long the role `forgetting` lets personal data be kept.
        `warehouse_folder`: where the role `warehouse_answers` finds answers. `report_places`: of `reporting`."""
        super().__init__(database_url, **options)
        self.dialects = dialects(channels)
        self.kafka = kafka
        self.session_seconds = session_seconds
        self.periods = periods
        self.warehouse_folder = warehouse_folder
        self.report_places = report_places
        self.cloudevents = CloudEventsCodec(VOCABULARY, keys=self.subject_keys)
        self.watermark = Watermark(self.recorder, TOPICS_OF)
        self._covered: dict[frozenset[str], int] = {}
        """The position that each set of roles has reached, for one iteration."""
        self.published = Published(self.recorder)
        deciding = CONSUMER_ROLES & {*roles}
        self.log = Log(self.recorder, self.store.codec, self.shares.events) if deciding else NullFeed()
        self.fetch_signal = FetchSignal(self._has_pending)
        self.waiter: Waiter = RelaySignal(database_url) if relaying and not roles else self.fetch_signal
        self.heartbeats = Heartbeats()
        self.checkpoints: CheckpointPublisher | None = None
        self.shared_reader = SharedReader(kafka, self.fetch_signal.notify, roles=len(INTERESTS.keys() & {*roles}))
        self.relay = self._relay() if relaying else None
        workers: list[Worker] = [self.relay] if self.relay else []
        workers += self._with_chains([self._worker_for(role) for role in roles])
        self.loop = Loop(
            workers,
            self.waiter,
            refresh=self._covered.clear,
            waited_for=True,
            note=self.note_stops,
            save=self.recorder.move_at_rest,
        )
        self.heartbeats.workers = [p for p in workers if isinstance(p, GroupWorker)]

    def __enter__(self) -> Self:
        super().__enter__()
        self.loop.seek()
        if isinstance(self.log, Log):
            self.log.start_at(self.last_position())
        return self

    def _alive(self) -> None:
        """Report between two batches that the process is alive, as an iteration may take long."""
        self.heartbeats()
        self.loop.last_iteration_at = time.monotonic()

    def close(self) -> None:
        own = (worker.close for worker in self.loop.workers if isinstance(worker, GroupWorker | Relay))
        close_together([*own, self.shared_reader.close])
        if isinstance(self.waiter, RelaySignal):
            self.waiter.close()
        super().close()

    def settled(self) -> bool:
        """Return whether every role, in any process, has processed the whole log, and no callback is outstanding."""
        if self.external_systems.outstanding():
            return False
        covered = self.watermark.position(INTERESTS)
        return covered == self.last_position() and not self.external_systems.outstanding()

    def settle(self) -> int:
        """Run until `settled` and return the number of deliveries. Raise TimeoutError, and the error that stopped a
        partition."""
        total, deadline = 0, time.monotonic() + SETTLED_SECONDS_MAX
        while not self.settled():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not settled within {SETTLED_SECONDS_MAX} s")
            taken = self.loop.iterate()
            self._raise_what_stopped()
            total += taken
            if not taken:
                self.waiter.wait(1.0)
        return total

    def shown_up_to(self, names: frozenset[str]) -> int:
        return self.watermark.position(names)

    def health(self) -> Health:
        return Health(lambda: self.loop.last_iteration_at, self._not_ready)

    def _has_pending(self) -> bool:
        """Return whether any role has work left; a relay must always be asked, as nothing notifies it."""
        return self.relay is not None or any(p.has_pending for p in self.loop.workers if isinstance(p, GroupWorker))

    def _not_ready(self) -> Iterator[str]:
        if self.relay and self.relay.problem:
            yield f"relay stopped: {self.relay.problem}"
        if self.checkpoints and self.checkpoints.missing:
            yield f"checkpoints wait, everything else is published: {no_topic(LOG_CHECKPOINTS)}"
        for worker in self.loop.workers:
            if isinstance(worker, GroupWorker):
                if not worker.group.joined:
                    yield f"{worker.name} has not joined its group yet"
                for topic in worker.group.missing:
                    yield f"{worker.name} reads {topic}, which is not there; `oms-es topics` makes it"
                for topic_partition, error in worker.stopped.items():
                    yield f"{worker.name} stopped at {topic_partition}: {without_rows(str(error))}"

    def _raise_what_stopped(self) -> None:
        for worker in self.loop.workers:
            if isinstance(worker, GroupWorker):
                for error in worker.stopped.values():
                    raise error

    def _relay(self) -> Relay:
        producer = Producer(self.kafka)
        checkpoints = self.checkpoints = CheckpointPublisher(producer, LOG_CHECKPOINTS)
        publishers = (
            EventPublisher(producer, self.cloudevents, list(EVENT_TOPICS.values())),
            StatePublisher(producer, STATES),
            DeadLetterPublisher(producer, CHANNEL_ORDERS_ROLE, DEAD_LETTERS, self.clock),
            checkpoints,
        )
        RELAY_DEPTH.set_function(known(lambda: self.last_position() - publishers[0].position, OUTAGES))
        needed = [*EVENT_TOPICS.values(), *(state.topic for state in STATES), DEAD_LETTERS]

        def check(session: Any) -> None:
            missing = bool(producer.missing([LOG_CHECKPOINTS]))
            if missing != checkpoints.missing:
                self._note_relay(no_topic(LOG_CHECKPOINTS) if missing else "", name=checkpoint_publisher.NAME)
            checkpoints.missing = missing
            published = needed if missing else [*needed, LOG_CHECKPOINTS]
            for topic in replaced(session, producer.topic_ids(published)):
                raise TopicReplaced(why_replaced(topic))

        lead = Leadership(self.database_url)
        return Relay(lead, producer, publishers, check, note=self._note_relay, forget=checkpoints.forget)

    def _note_relay(self, problem: str, name: str = Relay.name) -> None:
        with suppress(*OUTAGES), self.recorder.datastore.transaction(commit=True) as curs:
            if problem:
                stops.note(curs, {name: problem})
            else:
                stops.clear(curs, name)

    def _with_chains(self, workers: Sequence[Worker]) -> Iterator[Worker]:
        """Yield the workers with two chains: for what follows from input, and from gateways' answers to it."""
        own = [w for w in workers if isinstance(w, GroupWorker) and w.name in CONSUMER_ROLES | LOOKED_UP]
        others = [worker for worker in workers if worker not in own]
        yield from (worker for worker in others if worker.name in INPUT_ROLES)
        yield from self._chain(own, CHAINS[0])
        yield from own
        yield from (worker for worker in others if worker.name not in INPUT_ROLES)
        yield from self._chain(own, CHAINS[1])

    def _chain(self, groups: Sequence[GroupWorker], name: str) -> Iterator[GroupChain]:
        if isinstance(self.log, Log):
            yield GroupChain(groups, self.store, self.log, partial(relayed, self.recorder), self._partitions, name=name)

    def _worker_for(self, role: str) -> Worker:
        alone: Mapping[str, Callable[[], Worker]] = {
            TICKER_ROLE: lambda: self.ticker(self.log),
            SEALER_ROLE: lambda: self.sealer,
            Forgetter.name: lambda: Forgetter(self, self.periods),
            WAREHOUSE_ANSWERS_ROLE: lambda: answers_of(self.warehouse_folder, self),
            Reporter.name: lambda: Reporter(self, self.report_places),
        }
        if role in alone:
            return alone[role]()
        if role in CALLBACK_ROLES:
            (source,) = (source for source in self.external_systems.callbacks if source.name == role)
            return self.follow(source, self.log)
        if role == CHANNEL_ORDERS_ROLE:
            group = self._group(role, list(self.dialects), keeps_positions=True)
            check = SameTopic(group.topic_id, self._kept_ids).check
            return GroupWorker(
                group, lambda topic_partition: self._input_task(topic_partition, check), ARRIVALS_MAX, self._alive
            )
        reader_of = self._reader_of(role)
        member = self.shared_reader.member(self._group(role, TOPICS_OF[role]))
        return GroupWorker(
            member, lambda topic_partition: self._event_task(topic_partition, reader_of), PROJECTED_MAX, self._alive
        )

    def _group(self, role: str, topics: Sequence[str], *, keeps_positions: bool = False) -> Group:
        notify = self.fetch_signal.notify
        return Group(self.kafka, role, topics, self.session_seconds, notify, keeps_positions=keeps_positions)

    def _reader_of(self, role: str) -> Callable[[PartitionFeed], FeedReader]:
        for consumer in CONSUMERS:
            if consumer.name == role:
                return lambda feed: self.consumer_worker(consumer, feed, self._position)
        for projection in PROJECTIONS:
            if projection.name == role:
                read_model = self._read_model(projection)
                return lambda feed: ProjectionWorker(read_model, feed)
        for gateway in self.gateways:
            if gateway.name == role:
                return lambda feed: self.gateway_worker(gateway, feed)
        raise UnknownRole(role)

    def _position(self, roles: frozenset[str]) -> int:
        if roles not in self._covered:
            self._covered[roles] = self.watermark.position(roles)
        return self._covered[roles]

    def _read_model(self, projection: Projection) -> ReadModel:
        return ReadModel(
            projection,
            SqlRows(projection.table, self.rows),
            self.shares.rows,
            alone=False,
            published=projection.name in PUBLISHED_READ_MODELS,
        )

    def _event_task(
        self, topic_partition: TopicPartition, reader_of: Callable[[PartitionFeed], FeedReader]
    ) -> PartitionTask:
        feed = PartitionFeed(topic_partition, self.cloudevents, self._backfill, self.log.notify_appended)
        return EventTask(feed, reader_of(feed), self.published)

    def _input_task(self, topic_partition: TopicPartition, check: Callable[[str], None]) -> PartitionTask:
        source = PartitionSource(topic_partition, CHANNEL_ORDERS_ROLE, self.dialects[topic_partition.topic])
        read = parser_of(source.dialect)
        worker = IntakeWorker(source, read, self.store, self.log, limit=Limit(), screen=self.screen)
        return InputTask(source, worker, check)

    def _kept_ids(self, seen: Mapping[str, UUID]) -> Mapping[str, UUID]:
        with self.recorder.datastore.transaction(commit=True) as curs:
            return kept_ids(curs, seen)

    def _backfill(self, topic_partition: TopicPartition, after: int, to: int) -> Iterator[Recorded]:
        return missing(self.recorder, self.store.codec, self._partitions(), topic_partition, after, to)

    def _partitions(self) -> dict[str, int]:
        with self.recorder.datastore.cursor() as curs:
            return published_partitions(curs)
