"""Composition root: the whole engine, listed.

Every consumer, projection and gateway that exists is named here once; where they run, and on which transport, is
decided by whoever runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Any, Self

import psycopg
from pydantic import ValidationError
from sqlalchemy import select

from oms_es import channels
from oms_es.aggregates.catalog import delivery, item, location, numbering, rates, rules, serial
from oms_es.aggregates.operations import aside as put_aside
from oms_es.aggregates.operations import exception
from oms_es.aggregates.order import decider as order
from oms_es.aggregates.payment import decider as payment
from oms_es.aggregates.payment import provider
from oms_es.aggregates.returns import feedback, policy, rma
from oms_es.aggregates.shipment import decider as shipment
from oms_es.aggregates.shipment import tracker
from oms_es.aggregates.stock import decider as stock
from oms_es.app.rebuild import Rebuild
from oms_es.channels import DIALECTS
from oms_es.consumers.order import backorder_filler, order_joiner, order_numberer, order_progress
from oms_es.consumers.order.deadline_keeper import due_commands
from oms_es.consumers.payment import payment_capturer, payment_matcher, payment_requester, refunder
from oms_es.consumers.returns import return_opener, return_progress
from oms_es.consumers.shipment import carrier_notifier, fulfilment_releaser, tracking_matcher
from oms_es.consumers.sourcing import sourcing
from oms_es.consumers.stock import replenisher, serial_keeper, stock_allocator, stock_mover
from oms_es.gateways.carrier import easypost
from oms_es.gateways.carrier import port as carrier
from oms_es.gateways.payment import port as payment_provider
from oms_es.gateways.payment import stripe
from oms_es.gateways.simulated import simulators
from oms_es.gateways.simulated.simulators import (
    CARRIER_CALLBACKS,
    PAYMENT_CALLBACKS,
    Chaos,
    Hazards,
    SimulatedCallbacks,
    SimulatedCarrier,
    SimulatedPaymentProvider,
    SqlLedger,
)
from oms_es.gateways.warehouse import SimulatedWarehouse
from oms_es.kafka import relay, topic_ids
from oms_es.kernel import (
    BadInput,
    Command,
    Consumer,
    Decider,
    Gateway,
    GatewayUnavailable,
    Projection,
    Recorded,
    Refused,
)
from oms_es.processing import aside, metrics
from oms_es.processing.intake import Intake, IntakeWorker, Parser, Source
from oms_es.processing.loop import (
    BATCH_MAX,
    POLL_SECONDS,
    ConsumerWorker,
    FeedReader,
    GatewayWorker,
    Loop,
    ProjectionWorker,
    Ticker,
    answers,
    cause_of,
    reactions,
)
from oms_es.processing.metrics import Health
from oms_es.processing.read_models import FactSource, ReadModel, SqlRows, create_indexes, read_model_engine
from oms_es.processing.screening import Screening, Treatments
from oms_es.projections.catalog import carrier_rates, delivery_options, items, location_load, locations, sourcing_rules
from oms_es.projections.operations import deadlines, exception_history, open_exceptions
from oms_es.projections.order import (
    backorder_queue,
    daily_sales,
    order_locations,
    order_numbers,
    order_recipients,
    order_skus,
    order_status,
    order_timeline,
)
from oms_es.projections.payment import deposits, payment_references, payments, provider_reports
from oms_es.projections.returns import feedback_scores, return_policies, returns
from oms_es.projections.shipment import shipments, tracking_numbers, tracking_reports
from oms_es.projections.stock import inbounds, replenishments, serial_numbers, stock_levels, stock_places
from oms_es.reports import queries
from oms_es.reports.known import ReadModelRegister
from oms_es.reports.waiting import intents_waiting
from oms_es.schemas.operations.aside import SettleReaction
from oms_es.schemas.shipment import LabelDocument
from oms_es.schemas.vocabulary import EVENTS as VOCABULARY
from oms_es.store import command_codec as command_letters
from oms_es.store import dead_letters, documents, schema, stops
from oms_es.store import outbox as changes
from oms_es.store.codec import Cause, Codec
from oms_es.store.log import WINDOW_MAX, Bell, Feed, Log
from oms_es.store.recorder import ADVANCE_FIRST, MIGRATION_LOCK, Advance, Recorder, datastore_of
from oms_es.store.store import OUTAGES, Batch, Store

DECIDERS: tuple[Decider[Any], ...] = (
    order.decider,
    stock.decider,
    payment.decider,
    shipment.decider,
    location.decider,
    item.decider,
    numbering.decider,
    serial.decider,
    rules.decider,
    rates.decider,
    delivery.decider,
    tracker.decider,
    put_aside.decider,
    exception.decider,
    rma.decider,
    policy.decider,
    feedback.decider,
    provider.decider,
)
CONSUMERS: tuple[Consumer, ...] = (
    sourcing.consumer,
    stock_allocator.consumer,
    stock_mover.consumer,
    serial_keeper.consumer,
    replenisher.consumer,
    order_progress.consumer,
    backorder_filler.consumer,
    payment_requester.consumer,
    payment_capturer.consumer,
    refunder.consumer,
    order_joiner.consumer,
    order_numberer.consumer,
    fulfilment_releaser.consumer,
    carrier_notifier.consumer,
    tracking_matcher.consumer,
    payment_matcher.consumer,
    return_opener.consumer,
    return_progress.consumer,
)
PROJECTIONS: tuple[Projection, ...] = (
    locations.projection,
    location_load.projection,
    sourcing_rules.projection,
    order_locations.projection,
    items.projection,
    stock_levels.projection,
    stock_places.projection,
    inbounds.projection,
    serial_numbers.projection,
    replenishments.projection,
    backorder_queue.projection,
    deadlines.projection,
    order_status.projection,
    order_numbers.projection,
    order_skus.projection,
    order_recipients.projection,
    order_timeline.projection,
    daily_sales.projection,
    open_exceptions.projection,
    exception_history.projection,
    payments.projection,
    deposits.projection,
    carrier_rates.projection,
    delivery_options.projection,
    shipments.projection,
    tracking_numbers.projection,
    tracking_reports.projection,
    payment_references.projection,
    provider_reports.projection,
    return_policies.projection,
    returns.projection,
    feedback_scores.projection,
)
GATEWAYS = (payment_provider.PaymentGateway, SimulatedWarehouse, carrier.CarrierGateway)
INTENTS: Mapping[str, frozenset[str]] = {
    gateway.name: frozenset(intent.__name__ for intent in gateway.intents) for gateway in GATEWAYS
}
"""What waits for each gateway, by the name of the event."""
PARSERS: Mapping[str, Parser] = {
    **DIALECTS,
    "payment_callback": payment_provider.parse_callback,
    "stripe": stripe.parse_event,
    "carrier_callback": carrier.parse_callback,
    "easypost_tracker": easypost.parse_tracker,
    command_letters.DIALECT: command_letters.parser_of(DECIDERS),
}
"""How the bytes of each dialect become a command: at their arrival, and again when a dead letter is replayed."""


def parser_of(dialect: str) -> Parser:
    """Also where a dialect is spoken by one channel alone. Raises KeyError."""
    return channels.parser_of(dialect) or PARSERS[dialect]


LOG_PLACE = "log"
"""What metrics call the one place that an engine without Kafka reads."""
IN_HAND_MAX = WINDOW_MAX // 20
"""Events that the slowest reader may be behind when more input is taken in: a turn makes twenty times as many."""

RebuildProgress = Callable[[str], Callable[[int, int], None]]
"""Makes, for a read model, what is given the position reached and the last position."""


def unseen(_read_model: str) -> Callable[[int, int], None]:
    """Progress that nobody watches."""
    return lambda _reached, _last: None


class OnKafka(Exception):  # noqa: N818 - says what to do
    """What is done in this database is done by way of Kafka."""


def migrate(database_url: str, *, told: frozenset[str] = frozenset(), progress: RebuildProgress = unseen) -> None:
    """Make every table of this version, and fold the read models anew that this version folds otherwise.

    Safe to run again, also after it was interrupted, and from several processes at once; whatever works on an older
    database is to be stopped first. `told`: read models whose rows are published on Kafka. Raises NewerDatabase.
    """
    with psycopg.connect(database_url, autocommit=True) as connection, datastore_of(database_url) as datastore:
        connection.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        stored = schema.versions(connection, PROJECTIONS)
        schema.refuse_newer(stored, PROJECTIONS)
        recorder = Recorder(datastore)
        recorder.create_table()
        with connection.transaction():
            for statement in _tables():
                connection.execute(statement)
        stale = [projection for projection in PROJECTIONS if schema.stale(stored, projection)]
        end = recorder.end()
        with connection.transaction():
            _make_missing(connection, stale, end)
        if stale and end:
            _fold(database_url, recorder, stale, told, progress)
        schema.record(connection, PROJECTIONS)


def _fold(
    database_url: str,
    recorder: Recorder,
    stale: Sequence[Projection],
    told: frozenset[str],
    progress: RebuildProgress,
) -> None:
    engine = read_model_engine(database_url)
    try:
        for projection in stale:
            published = projection.name in told
            rebuild = Rebuild(projection, database_url, recorder, Codec(VOCABULARY), engine, told=published)
            rebuild.run(progress(projection.name))
    finally:
        engine.dispose()


def _make_missing(connection: psycopg.Connection[Any], projections: Sequence[Projection], end: int) -> None:
    """An empty table claims to have taken the whole log, from which it is folded at once."""
    for projection in projections:
        if schema.stored_columns(connection, projection.name):
            continue
        connection.execute(schema.created(projection.table))
        for statement in create_indexes(projection):
            connection.execute(statement)
        schema.record_unfolded(connection, projection.name)
        if end:
            connection.execute(ADVANCE_FIRST, Advance(projection.name, 0, end)._asdict())


def _tables() -> Sequence[bytes]:
    statements = (
        schema.CREATE,
        (dead_letters.CREATE, documents.CREATE),
        changes.CREATE,
        relay.CREATE,
        topic_ids.CREATE,
        stops.CREATE,
        simulators.CREATE,
    )
    return [statement.encode() for some in statements for statement in some]


def _keep(database_url: str, content: bytes, media_type: str) -> LabelDocument:
    """In a transaction of its own, before the event that names it. Raises GatewayUnavailable."""
    try:
        with psycopg.connect(database_url) as connection:
            kept = documents.keep(connection, content, media_type)
    except psycopg.OperationalError as error:
        raise GatewayUnavailable(str(error)) from error
    return LabelDocument(sha256=kept.sha256, media_type=kept.media_type, byte_count=len(kept.content))


class World:
    """What stands around the engine: gateways, and callbacks that come by themselves."""

    payment_provider: SimulatedPaymentProvider
    """Of a simulated world."""
    keep: Callable[[bytes, str], LabelDocument]
    callbacks: Sequence[SimulatedCallbacks] = ()

    def gateways(self) -> Sequence[Gateway]:
        return ()

    def outstanding(self) -> int:
        """Callbacks that are still to come."""
        return 0

    def close(self) -> None:
        """Let go of what it holds."""


class Unconnected(World):
    """Nobody: intents wait until gateways are there."""


class SimulatedWorld(World):
    """A payment provider, a warehouse and a carrier, simulated, seeded, with a memory of their own."""

    def __init__(
        self,
        database_url: str,
        chaos: Chaos,
        clock: Callable[[], datetime],
        transit_seconds: float = 0.0,
        hazards: Hazards = Hazards(),  # noqa: B008 - an immutable tuple
    ) -> None:
        self.payment_provider = SimulatedPaymentProvider(SqlLedger(database_url, clock), chaos)
        shipped = SqlLedger(database_url, clock)
        self.carrier = SimulatedCarrier(shipped, chaos, transit_seconds, hazards, shipped.recall)
        self.keep = partial(_keep, database_url)
        self.callbacks = (
            SimulatedCallbacks(PAYMENT_CALLBACKS, "payment_callback", database_url, clock),
            SimulatedCallbacks(CARRIER_CALLBACKS, "carrier_callback", database_url, clock),
        )

    def gateways(self) -> tuple[Gateway, ...]:
        return (
            payment_provider.PaymentGateway(self.payment_provider),
            SimulatedWarehouse(),
            carrier.CarrierGateway(self.carrier, self.keep),
        )

    def outstanding(self) -> int:
        """Callbacks that are still to come."""
        return sum(source.outstanding() for source in self.callbacks)

    def close(self) -> None:
        for ledger in (self.payment_provider.ledger, self.carrier.ledger, *(c.ledger for c in self.callbacks)):
            ledger.close()


class Parts:
    """What every process of ours is made of, whichever roles it runs and whichever way events come to it.

    `simulated`: whether simulators stand around it. The command line asks the setting; without them intents wait.
    """

    def __init__(
        self,
        database_url: str,
        *,
        simulated: bool = True,
        chaos: Chaos = Chaos(),  # noqa: B008 - an immutable tuple
        transit_seconds: float = 0.0,
        hazards: Hazards = Hazards(),  # noqa: B008 - an immutable tuple
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        batch_max: int = BATCH_MAX,
        treatments: Treatments = Treatments(),  # noqa: B008 - an immutable tuple
    ) -> None:
        self.database_url = database_url
        self.consumers: Sequence[Consumer] = CONSUMERS
        self.clock = clock
        self.batch_max = batch_max
        self.datastore = datastore_of(database_url)
        self.recorder = Recorder(self.datastore)
        self.store = Store(DECIDERS, VOCABULARY, self.recorder, clock)
        self.screen = Screening(treatments, ReadModelRegister(database_url), self.store)
        self.sql = read_model_engine(database_url)
        self.facts = FactSource({projection.name: projection.table for projection in PROJECTIONS}, self.sql)
        self.world: World = (
            SimulatedWorld(database_url, chaos, clock, transit_seconds, hazards) if simulated else Unconnected()
        )

    def __enter__(self) -> Self:
        with psycopg.connect(self.database_url) as connection:
            schema.require(connection, PROJECTIONS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.world.close()
        self.sql.dispose()
        self.datastore.close()

    def last_position(self) -> int:
        """Of the newest event; 0 for an empty log."""
        return self.recorder.max_notification_id() or 0

    def waiting(self) -> dict[str, int]:
        """How many intents no gateway has performed yet, by the gateway's name."""
        with queries.reading(self.database_url) as connection:
            return intents_waiting(connection, INTENTS)

    def consumer_worker(
        self, consumer: Consumer, feed: Feed, fact_positions: Callable[[frozenset[str]], int]
    ) -> ConsumerWorker:
        return ConsumerWorker(consumer, self.store, feed, self.facts, fact_positions, self.batch_max)

    def gateway_worker(self, gateway: Gateway, feed: Feed) -> GatewayWorker:
        return GatewayWorker(gateway, self.store, feed, self.batch_max)

    def follow(self, source: Source, feed: Feed) -> IntakeWorker:
        return IntakeWorker(source, parser_of(source.dialect), self.store, feed)

    def rebuild(self, projection: Projection, *, told: bool = False) -> Rebuild:
        return Rebuild(projection, self.database_url, self.recorder, self.store.codec, self.sql, told=told)

    def ticker(self, feed: Feed) -> Ticker:
        return Ticker(self._due, self.store, feed, self.clock)

    def note_stops(self, causes: Mapping[str, BaseException]) -> None:
        """For whoever asks from another process."""
        with suppress(*OUTAGES), self.recorder.datastore.transaction(commit=True) as curs:
            stops.note(curs, {name: cause_of(cause) for name, cause in causes.items()})

    def append(self, batch: Batch) -> Sequence[Recorded]:
        """Raises Refused; then nothing of the batch has happened."""
        return self.store.execute(batch)

    def repeat(self, actor: str, letter: dead_letters.Buried) -> None:
        """Follow up what a reader put aside. Raises BadInput or Refused if that is still refused."""
        reaction = aside.read(letter.payload)
        rows = self.recorder.after(reaction.position - 1, 1)
        recorded = [self.store.codec.decode(row, row.id) for row in rows if row.topic == reaction.fact]
        settled = SettleReaction(reader=reaction.reader, fact_id=reaction.fact_id)
        try:
            followed = self._followed_up(reaction.reader, recorded)
            self.append([*followed, (Cause(actor), [settled])])
        except ValidationError as error:
            raise BadInput(*aside.why(error)) from error

    def _followed_up(self, reader: str, recorded: Sequence[Recorded]) -> Batch:
        for consumer in self.consumers:
            if consumer.name == reader and recorded:
                return reactions(consumer, recorded, self.facts)
        for gateway in self.world.gateways():
            if gateway.name == reader and recorded:
                return answers(gateway, recorded)
        raise BadInput("no_reaction", f"{reader} has nothing to do with an event there; is its gateway connected?")

    def tell(self, actor: str, commands: Sequence[Command]) -> list[tuple[Command, Refused]]:
        """Put commands to the engine, all in one transaction if none is refused; the refused ones come back."""
        try:
            self.append([(Cause(actor), [command]) for command in commands])
        except Refused as refused:
            if len(commands) == 1:
                return [(commands[0], refused)]
            middle = len(commands) // 2
            return self.tell(actor, commands[:middle]) + self.tell(actor, commands[middle:])
        return []

    def _due(self, now: datetime, limit: int) -> Sequence[Command]:
        table = deadlines.projection.table
        due = select(table).where(table.c.due_at <= now).order_by(table.c.due_at).limit(limit)
        with self.sql.connect() as connection:
            return tuple(due_commands([dict(row) for row in connection.execute(due).mappings()], now))


def facts_of(consumers: Sequence[Consumer]) -> frozenset[str]:
    """The read models that something is decided from; the others are for people."""
    return frozenset({deadlines.projection.name}).union(*(consumer.wanted_projections for consumer in consumers))


class Engine(Parts):
    """Everything on one database, in one process, following the log itself. Use as a context manager.

    `alone`: no other engine can run on this database, so that whoever brings input here also goes on with it.
    """

    def __init__(
        self,
        database_url: str,
        *,
        poll_seconds: float = POLL_SECONDS,
        alone: bool = False,
        consumers: Sequence[Consumer] = CONSUMERS,
        projections: Sequence[Projection] = PROJECTIONS,
        gateways: Sequence[Gateway] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(database_url, **options)
        self.consumers = consumers
        self.alone = alone
        self.log = Log(self.recorder, self.store.codec)
        self.bell = Bell(database_url)
        self.projection_workers = [
            ProjectionWorker(ReadModel(p, SqlRows(p.table, self.sql)), self.log) for p in projections
        ]
        reached = self.world.gateways() if gateways is None else gateways
        self.loop = Loop(
            [
                *(self.consumer_worker(consumer, self.log, self._fact_position) for consumer in consumers),
                *(self.gateway_worker(gateway, self.log) for gateway in reached),
                *(self.follow(source, self.log) for source in self.world.callbacks),
                *self.projection_workers,
                self.ticker(self.log),
            ],
            self.bell,
            poll_seconds,
            self.log.look,
            beside=frozenset(projection.name for projection in projections) - facts_of(consumers),
            note=self.note_stops,
        )

    def __enter__(self) -> Self:
        super().__enter__()
        self.loop.seek()
        self.log.start_at(self.last_position())
        return self

    def close(self) -> None:
        self.loop.close()
        self.bell.close()
        super().close()

    def intake(self, name: str, dialect: str) -> Intake:
        """A way in for input that comes once, such as a file."""
        return Intake(name, dialect, parser_of(dialect), self.store, self.log, tracked=False, screen=self.screen)

    def append(self, batch: Batch) -> Sequence[Recorded]:
        recorded = super().append(batch)
        self.log.offer(recorded)
        return recorded

    def health(self) -> Health:
        """For whoever restarts it, and watches how far each reader is behind."""
        for reader in self.loop.readers():
            self._watch(reader)
        return Health(lambda: self.loop.turned_at, self._not_ready)

    def _watch(self, reader: FeedReader) -> None:
        metrics.POSITION.labels(reader.role, LOG_PLACE).set_function(lambda: reader.seen)
        metrics.LAG.labels(reader.role, LOG_PLACE).set_function(lambda: max(0, self.log.end - reader.seen))
        metrics.STOPPED.labels(reader.role).set_function(lambda: reader.name in self.loop.stopped)

    def _not_ready(self) -> Iterator[str]:
        if self.loop.outage:
            yield self.loop.outage
        for name, cause in self.loop.stopped.items():
            yield f"{name} stopped: {cause_of(cause)}"

    def require_the_log(self) -> None:
        """Raises OnKafka where the workers of Kafka hold the positions: both would do everything."""
        with self.recorder.datastore.cursor() as curs:
            if curs.execute(f"SELECT 1 FROM {relay.RELAY} WHERE epoch > 0").fetchone():
                raise OnKafka("this database is served by workers on Kafka; start `oms-es worker`, not an engine")

    def keep_up(self) -> None:
        """For whoever brings more input than a turn takes: go on until little is left, and the log is still at hand."""
        self.require_the_log()
        while self.loop.behind(self.log.end) > IN_HAND_MAX and self.loop.turn():
            pass

    def settle(self) -> int:
        """Run until nothing is left to do and nothing more will come from the simulated world. Raises OnKafka."""
        self.require_the_log()
        total = self.loop.run_until_quiet()
        while self.world.outstanding():
            self.bell.wait(0.05)
            total += self.loop.run_until_quiet()
        return total

    def _fact_position(self, names: frozenset[str]) -> int:
        """How far the slowest of these read models has come."""
        here = {worker.name: worker.seen for worker in self.projection_workers}
        return min(here[name] if name in here else self.recorder.position(name) for name in names)


@contextmanager
def engine_on(database_url: str, **options: Any) -> Iterator[Engine]:
    """Migrate, then open: for the embedded database, which nobody else shares."""
    migrate(database_url)
    with Engine(database_url, **options) as engine:
        yield engine
