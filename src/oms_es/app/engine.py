"""The engine in one process: a loop with every consumer, projection and gateway, and ways to give it commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, NamedTuple, Self

import psycopg
from pydantic import ValidationError

from oms_es.app.external_systems import Connected, ExternalSystems, OnKafka, SimulatedSystems, Unconnected
from oms_es.app.invoicing.kept import gateway_on
from oms_es.app.migration import migrate
from oms_es.app.rebuild import Rebuild, Rebuilt, rebuild_together
from oms_es.app.registry import CONSUMERS, DECIDERS, INTENTS, PROJECTIONS, parser_of
from oms_es.app.sharing.one_pass import unseen
from oms_es.consumers.order.deadline_keeper import due_commands
from oms_es.gateways.simulated.modes import Chaos, Hazards
from oms_es.kafka.relay import store as relay_store
from oms_es.kernel import BadInput, Command, Consumer, Gateway, Projection, Recorded, Refused
from oms_es.processing import aside, metrics
from oms_es.processing.chain import Chain, Together
from oms_es.processing.gateway_worker import GatewayWorker, answers
from oms_es.processing.intake.screening import Screening, Treatments
from oms_es.processing.intake.worker import Intake, IntakeWorker, Source
from oms_es.processing.loop import POLL_SECONDS, Loop
from oms_es.processing.read_models.connections import Connections
from oms_es.processing.read_models.lookups import LookupSource
from oms_es.processing.read_models.model import ReadModel
from oms_es.processing.read_models.rows import SqlRows
from oms_es.processing.readers import (
    BATCH_MAX,
    ConsumerWorker,
    FeedReader,
    ProjectionWorker,
    Worker,
    cause_of,
    reactions,
)
from oms_es.processing.sealer import Sealer
from oms_es.processing.ticker import Ticker
from oms_es.projections.operations import deadlines
from oms_es.proof.notes import SignerKey
from oms_es.reports import queries
from oms_es.reports.known import ReadModelRegister
from oms_es.reports.operations.waiting import intents_waiting
from oms_es.schemas.inputs import Input
from oms_es.schemas.operations.aside import SettleReaction
from oms_es.schemas.vocabulary import EVENTS as VOCABULARY
from oms_es.store import dead_letters, schema, stops
from oms_es.store.caching import CACHE_BYTES_MAX, Shares
from oms_es.store.encoding.codec import Cause
from oms_es.store.log import WINDOW_MAX, AppendListener, Feed, Log
from oms_es.store.privacy import subject_keys
from oms_es.store.recorder import CONNECT_SECONDS_MAX, Recorder, datastore_of
from oms_es.store.sealing.seals import SqlSealing
from oms_es.store.store import ATTEMPTS_MAX, OUTAGES, Batch, Store

CHAINS = ("chain", "chain_of_answers")
"""Names of the chains of what follows from input, and from gateways' answers to it in the same iteration."""
LOG_PLACE = "log"
"""The label, in metrics, of the log that an engine without Kafka reads."""
IN_HAND_MAX = WINDOW_MAX // 20
"""Events that the slowest reader may be behind when more input is accepted: an iteration makes up to twenty times as
many."""


class Patience(NamedTuple):
    """How often to wait for an outage of the database, and how long for each connection."""

    attempts_max: int = ATTEMPTS_MAX
    connect_seconds_max: float = CONNECT_SECONDS_MAX


PATIENT = Patience()
SOON = Patience(attempts_max=2, connect_seconds_max=1.0)
"""For answers to webhooks: their senders wait five seconds, and try again later."""


class Runtime:
    """What every process needs, whichever roles it runs and however events reach it.

    `simulated`: whether simulators act as external systems; without them, intents wait. `connected`: gateways to real
    providers, used in place of simulators. `answers_soon`: a caller waits for the answer, so that an outage of the
    database becomes an error after seconds. `cache_bytes_max`: the size of the caches of streams, rows and events, as
    `store/caching.py` estimates it. `log_key`: signs checkpoints of the log; without it, the key in the database does.
    """

    def __init__(
        self,
        database_url: str,
        *,
        simulated: bool = True,
        connected: Sequence[Gateway] = (),
        chaos: Chaos = Chaos(),  # noqa: B008 - an immutable tuple
        transit_seconds: float = 0.0,
        hazards: Hazards = Hazards(),  # noqa: B008 - an immutable tuple
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        batch_max: int = BATCH_MAX,
        treatments: Treatments = Treatments(),  # noqa: B008 - an immutable tuple
        answers_soon: bool = False,
        log_key: SignerKey | None = None,
        cache_bytes_max: int = CACHE_BYTES_MAX,
    ) -> None:
        patience = SOON if answers_soon else PATIENT
        self.database_url = database_url
        self.consumers: Sequence[Consumer] = CONSUMERS
        self.clock = clock
        self.batch_max = batch_max
        self.datastore = datastore_of(database_url, connect_seconds_max=patience.connect_seconds_max)
        self.recorder = Recorder(self.datastore)
        self.subject_keys = subject_keys.SqlSubjectKeys(self.datastore.cursor)
        self.shares = Shares.of(cache_bytes_max)
        self.store = Store(
            DECIDERS,
            VOCABULARY,
            self.recorder,
            clock,
            self.shares.states,
            attempts_max=patience.attempts_max,
            keys=self.subject_keys,
        )
        self.sealer = Sealer(SqlSealing(self.datastore, log_key))
        self.screen = Screening(treatments, ReadModelRegister(database_url), self.store)
        self.rows = Connections(database_url, connect_seconds_max=patience.connect_seconds_max)
        self.lookups = LookupSource({projection.name: projection.table for projection in PROJECTIONS}, self.rows)
        around: ExternalSystems = (
            SimulatedSystems(database_url, chaos, clock, transit_seconds, hazards) if simulated else Unconnected()
        )
        self.external_systems: ExternalSystems = Connected(connected, around, database_url) if connected else around
        self.gateways = (*self.external_systems.gateways(), gateway_on(database_url, self.store, self.lookups, clock))

    def __enter__(self) -> Self:
        with psycopg.connect(self.database_url) as connection:
            schema.require(connection, PROJECTIONS)
            subject_keys.require(connection)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.external_systems.close()
        self.rows.close()
        self.datastore.close()

    def last_position(self) -> int:
        """Return the position of the newest event; 0 for an empty log."""
        return self.recorder.max_notification_id() or 0

    def shown_up_to(self, names: frozenset[str]) -> int:
        """Return the position up to which all of these read models show the log."""
        return min(self.recorder.position(name) for name in names)

    def waiting(self) -> dict[str, int]:
        """Return how many intents each gateway has not performed yet, by its name."""
        with queries.reading(self.database_url) as connection:
            return intents_waiting(connection, INTENTS)

    def consumer_worker(
        self, consumer: Consumer, feed: Feed, lookup_position: Callable[[frozenset[str]], int]
    ) -> ConsumerWorker:
        return ConsumerWorker(consumer, self.store, feed, self.lookups, lookup_position, self.batch_max)

    def gateway_worker(self, gateway: Gateway, feed: Feed) -> GatewayWorker:
        return GatewayWorker(gateway, self.store, feed, self.batch_max)

    def follow(self, source: Source, feed: Feed) -> IntakeWorker:
        return IntakeWorker(source, parser_of(source.dialect), self.store, feed)

    def rebuild(self, projection: Projection, *, published: bool = False) -> Rebuild:
        return Rebuild(projection, self.database_url, self.recorder, self.store.codec, self.rows, published=published)

    def rebuild_all(
        self,
        projections: Sequence[Projection],
        *,
        published: frozenset[str] = frozenset(),
        progress: Callable[[int, int], None] = unseen,
        processes: int = 1,
    ) -> list[Rebuilt]:
        """Rebuild all read models from one reading of the log, or one reading by each of several processes."""
        rebuilds = [self.rebuild(one, published=one.name in published) for one in projections]
        return rebuild_together(rebuilds, self.database_url, progress, processes)

    def ticker(self, feed: Feed) -> Ticker:
        return Ticker(self._due, self.store, feed, self.clock)

    def note_stops(self, causes: Mapping[str, BaseException]) -> None:
        """Store which readers have stopped, for other processes to read."""
        with suppress(*OUTAGES), self.recorder.datastore.transaction(commit=True) as curs:
            stops.note(curs, {name: cause_of(cause) for name, cause in causes.items()})

    def append(self, batch: Batch) -> Sequence[Recorded]:
        """Append a batch. Raises Refused, and then nothing of the batch is stored."""
        return self.store.execute(batch)

    def repeat(self, actor: str, dead_letter: dead_letters.StoredDeadLetter) -> None:
        """Repeat a reaction that a reader put aside. Raise BadInput or Refused if it still fails."""
        reaction, recorded = self._put_aside(dead_letter)
        settled = SettleReaction(reader=reaction.reader, fact_id=reaction.fact_id)
        try:
            followed = self._followed_up(reaction.reader, recorded)
            self.append([*followed, (Cause(actor), [settled])])
        except ValidationError as error:
            raise BadInput(*aside.why(error)) from error

    def followed_up(self, dead_letter: dead_letters.StoredDeadLetter) -> Sequence[Command]:
        """Return the commands that a repeat would give. Raise BadInput, also if a gateway would have to be asked."""
        reaction, recorded = self._put_aside(dead_letter)
        if all(consumer.name != reaction.reader for consumer in self.consumers):
            raise BadInput(Input.NO_REACTION, f"only trying it shows what {reaction.reader} is answered")
        try:
            followed = self._followed_up(reaction.reader, recorded)
        except ValidationError as error:
            raise BadInput(*aside.why(error)) from error
        return [command for _, commands in followed for command in commands]

    def _put_aside(self, dead_letter: dead_letters.StoredDeadLetter) -> tuple[aside.Reaction, Sequence[Recorded]]:
        """Return the reaction in the dead letter, and its event if it is still the one at that position."""
        reaction = aside.read(dead_letter.payload)
        rows = self.recorder.after(reaction.position - 1, 1)
        return reaction, [self.store.codec.decode(row, row.id) for row in rows if row.topic == reaction.fact]

    def _followed_up(self, reader: str, recorded: Sequence[Recorded]) -> Batch:
        for consumer in self.consumers:
            if consumer.name == reader and recorded:
                return reactions(consumer, recorded, self.lookups)
        for gateway in self.gateways:
            if gateway.name == reader and recorded:
                return answers(gateway, recorded)
        raise BadInput(Input.NO_REACTION, f"{reader} has nothing to do with an event there; is its gateway connected?")

    def submit(self, actor: str, commands: Sequence[Command]) -> list[tuple[Command, Refused]]:
        """Give the commands, all in one transaction if none is refused; return the refused ones with their errors."""
        try:
            self.append([(Cause(actor), [command]) for command in commands])
        except Refused as refused:
            if len(commands) == 1:
                return [(commands[0], refused)]
            middle = len(commands) // 2
            return self.submit(actor, commands[:middle]) + self.submit(actor, commands[middle:])
        return []

    def _due(self, now: datetime, limit: int) -> Sequence[Command]:
        table = deadlines.projection.table
        query = (
            f"SELECT {', '.join(table.columns.keys())} FROM {table.name} WHERE due_at <= %s ORDER BY due_at LIMIT %s"
        )
        with self.rows.one() as connection:
            return tuple(due_commands(connection.execute(query.encode(), [now, limit], prepare=True).fetchall(), now))


def projections_looked_up(consumers: Sequence[Consumer]) -> frozenset[str]:
    """The read models that consumers look up; all others are for people."""
    return frozenset({deadlines.projection.name}).union(*(consumer.lookup_projections for consumer in consumers))


class Engine(Runtime):
    """All roles on one database, in one process that follows the log itself. Use as a context manager.

    `alone`: no other engine can run on this database; then a process that takes input also processes what follows.
    `beside`: makes further workers, which run after all others.
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
        beside: Callable[[Runtime], Sequence[Worker]] = lambda _: (),
        **options: Any,
    ) -> None:
        super().__init__(database_url, **options)
        self.consumers = consumers
        self.alone = alone
        self.log = Log(self.recorder, self.store.codec, self.shares.events)
        self.waiter = AppendListener(database_url)
        self.projection_workers = [
            ProjectionWorker(ReadModel(p, SqlRows(p.table, self.rows), self.shares.rows), self.log) for p in projections
        ]
        background = frozenset(projection.name for projection in projections) - projections_looked_up(consumers)
        consumer_workers = [self.consumer_worker(consumer, self.log, self.shown_up_to) for consumer in consumers]
        first, second = (list(self._chains(name, consumer_workers, background)) for name in CHAINS)
        self.loop = Loop(
            [
                *first,
                *self._together(background),
                *consumer_workers,
                *(self.gateway_worker(one, self.log) for one in (self.gateways if gateways is None else gateways)),
                *(self.follow(source, self.log) for source in self.external_systems.callbacks),
                *second,
                *self.projection_workers,
                self.ticker(self.log),
                self.sealer,
                *beside(self),
            ],
            self.waiter,
            poll_seconds,
            self.log.refresh,
            background=background | {Together.name, Sealer.name},
            note=self.note_stops,
            save=self.recorder.move_at_rest,
            forget=self.log.forget,
        )

    def _chains(self, name: str, consumers: Sequence[ConsumerWorker], background: frozenset[str]) -> Iterator[Chain]:
        """Yield the chain of these consumers, if this process folds all read models that they look up; else there is
        none."""
        lookups = [worker for worker in self.projection_workers if worker.name not in background]
        if projections_looked_up(self.consumers) <= {worker.name for worker in lookups}:
            yield Chain(consumers, lookups, self.store, self.log, name=name)

    def _together(self, background: frozenset[str]) -> Iterator[Chain]:
        for_people = [worker for worker in self.projection_workers if worker.name in background]
        if for_people:
            yield Together(for_people, self.store, self.log)

    def __enter__(self) -> Self:
        super().__enter__()
        self.loop.seek()
        self.log.start_at(self.last_position())
        return self

    def close(self) -> None:
        self.loop.close()
        self.waiter.close()
        super().close()

    def intake(self, name: str, dialect: str) -> Intake:
        """An intake for input that is read once, such as a file."""
        return Intake(name, dialect, parser_of(dialect), self.store, self.log, tracked=False, screen=self.screen)

    def append(self, batch: Batch) -> Sequence[Recorded]:
        recorded = super().append(batch)
        self.log.notify_appended(recorded)
        return recorded

    def health(self) -> metrics.Health:
        """Return the health checks for the supervisor and monitors, and watch how far each reader is behind."""
        for reader in self.loop.readers():
            self._watch(reader)
        return metrics.Health(lambda: self.loop.last_iteration_at, self._not_ready)

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
        """Raise OnKafka if workers on Kafka own the positions: with an engine beside them, everything would be done
        twice."""
        with self.recorder.datastore.cursor() as curs:
            if curs.execute(f"SELECT 1 FROM {relay_store.RELAY} WHERE epoch > 0").fetchone():
                raise OnKafka("this database is served by workers on Kafka; start `oms-es worker`, not an engine")

    def keep_up(self) -> None:
        """Iterate until little is left, for callers that bring more input than one iteration takes: the log is then
        still cached."""
        self.require_the_log()
        while self.loop.behind(self.log.end) > IN_HAND_MAX and self.loop.iterate():
            pass

    def settle(self) -> int:
        """Run until nothing is left to do and no simulated callback is outstanding, seal the log, and return the count
        of what was done. Raise OnKafka."""
        self.require_the_log()
        total = self.loop.run_until_idle()
        while self.external_systems.outstanding():
            self.waiter.wait(0.05)
            total += self.loop.run_until_idle()
        self.sealer.seal_all()
        return total

    def shown_up_to(self, names: frozenset[str]) -> int:
        here = {worker.name: worker.seen for worker in self.projection_workers}
        return min(here[name] if name in here else self.recorder.position(name) for name in names)


@contextmanager
def engine_on(database_url: str, **options: Any) -> Iterator[Engine]:
    """Migrate and open the database: for an embedded database, which no other program shares."""
    migrate(database_url)
    with Engine(database_url, **options) as engine:
        yield engine
