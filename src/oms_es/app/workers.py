"""The same engine on Kafka: every role that app.py lists, as a consumer group, in as many processes as one likes.

A process runs any roles. Events reach it by way of topics, and what it appends reaches the others by way of the relay;
PostgreSQL holds the log, the positions and the read models.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Self
from uuid import UUID

from oms_es.app import CONSUMERS, DECIDERS, GATEWAYS, PROJECTIONS, Parts, parser_of
from oms_es.channels import dialect_of
from oms_es.channels.canonical import DIALECT as CANONICAL
from oms_es.database.reasons import without_rows
from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.gateways.simulated.effects import CARRIER_CALLBACKS, PAYMENT_CALLBACKS
from oms_es.kafka.client import MESSAGE_BYTES_MAX, Config, Place, Publisher, Topic
from oms_es.kafka.cloudevents import Wire
from oms_es.kafka.feeds import EventShare, FetchBell, PartitionFeed, Share, missing
from oms_es.kafka.groups import Attendance, GroupWorker
from oms_es.kafka.inputs import InputShare, PartitionSource
from oms_es.kafka.membership import SESSION_SECONDS, Group
from oms_es.kafka.publishers import DeadLetterOutlet, State, StateOutlet
from oms_es.kafka.reading import TopicReplaced
from oms_es.kafka.relay import EventOutlet, Leadership, Relay, RelayBell
from oms_es.kafka.topic_ids import SameTopic, kept_ids, replaced, why_replaced
from oms_es.kafka.watermark import Coverage, Published, published_partitions
from oms_es.kernel import Event, Projection, Recorded
from oms_es.processing.ending import close_together
from oms_es.processing.intake import BATCH_MAX as ARRIVALS_MAX
from oms_es.processing.intake import IntakeWorker, Limit
from oms_es.processing.loop import Loop
from oms_es.processing.metrics import RELAY_DEPTH, Health
from oms_es.processing.read_models import ReadModel, SqlRows
from oms_es.processing.readers import PROJECTED_MAX, FeedReader, Participant, ProjectionWorker, Waiter
from oms_es.projections.order import order_status
from oms_es.projections.stock import stock_levels
from oms_es.schemas.topics import (
    CHANNEL_ORDERS,
    EVENT_TOPICS,
    ORDER_STATUS,
    STOCK_LEVELS,
    channel_topic,
    dead_letter_topic,
)
from oms_es.schemas.vocabulary import EVENTS as VOCABULARY
from oms_es.store import stops
from oms_es.store.log import Unread
from oms_es.store.store import OUTAGES

PARTITIONS = 6
"""Of every topic that is made here; it never changes afterwards."""
SETTLED_SECONDS_MAX = 600.0
CHANNEL_ORDERS_ROLE = "channel_orders"
TICKER_ROLE = "ticker"
STATES = (
    State(order_status.projection.table, ORDER_STATUS, "OrderStatus", str(order_status.__doc__)),
    State(stock_levels.projection.table, STOCK_LEVELS, "StockLevel", str(stock_levels.__doc__)),
)
TOLD = frozenset(state.table.name for state in STATES)
"""Read models whose rows are told on topics of states."""
CALLBACK_ROLES = (PAYMENT_CALLBACKS, CARRIER_CALLBACKS)
DEAD_LETTERS = dead_letter_topic(CHANNEL_ORDERS, CHANNEL_ORDERS_ROLE)
CATEGORY_OF: Mapping[type[Event], str] = {event: d.category for d in DECIDERS for event in d.emits}

INTERESTS: Mapping[str, frozenset[type[Event]]] = {
    **{consumer.name: frozenset(consumer.reactions) for consumer in CONSUMERS},
    **{projection.name: frozenset(projection.folds) for projection in PROJECTIONS},
    **{gateway.name: frozenset(gateway.intents) for gateway in GATEWAYS},
}
"""What each role that reads events is interested in."""
TOPICS_OF: Mapping[str, Sequence[str]] = {
    role: sorted({EVENT_TOPICS[CATEGORY_OF[event]] for event in events}) for role, events in INTERESTS.items()
}
ROLES = (*INTERESTS, *CALLBACK_ROLES, CHANNEL_ORDERS_ROLE, TICKER_ROLE)
GROUPS_OF_ROLES: Mapping[str, Sequence[str]] = {
    "consumers": [consumer.name for consumer in CONSUMERS],
    "projections": [projection.name for projection in PROJECTIONS],
    "gateways": [*(gateway.name for gateway in GATEWAYS), *CALLBACK_ROLES],
    "all": ROLES,
}
"""Names that stand for several roles."""


class NoGateways(OmsError):
    """No gateways are set, and nothing else was asked for."""

    code = "no_gateways"
    exit_code = Code.USAGE
    status = HTTPStatus.BAD_REQUEST


class UnknownRole(OmsError):
    """No role has this name."""

    code = "unknown_role"
    exit_code = Code.USAGE
    status = HTTPStatus.BAD_REQUEST


def roles_that_run(roles: Sequence[str], *, connected: bool) -> list[str]:
    """Without gateways, those that would have to reach one are left out. Raises NoGateways if none is left."""
    world = GROUPS_OF_ROLES["gateways"]
    running = [role for role in roles if connected or role not in world]
    if not running:
        raise NoGateways(
            f"{', '.join(roles)} reach a payment provider, a carrier or a warehouse, and none is connected; "
            "for trying things out, OMS_GATEWAYS=simulated runs simulators"
        )
    return running


def roles_of(names: Iterable[str]) -> list[str]:
    """Raises UnknownRole."""
    roles = dict.fromkeys(role for name in names for role in GROUPS_OF_ROLES.get(name, (name,)))
    for role in roles:
        if role not in ROLES:
            raise UnknownRole(f"there is no role {role}; there are {', '.join((*GROUPS_OF_ROLES, *ROLES))}")
    return list(roles)


def dialects(channels: Mapping[str, str] | None = None) -> dict[str, str]:
    """The dialect of each topic that channels write to; `channels` have topics of their own. Raises UnknownDialect."""
    own = {channel_topic(name): dialect_of(name, dialect) for name, dialect in (channels or {}).items()}
    return {CHANNEL_ORDERS: CANONICAL, **own}


def topics(partitions: int = PARTITIONS, channels: Mapping[str, str] | None = None) -> list[Topic]:
    """Every topic that we publish or read; `channels` have topics of their own. Raises UnknownDialect."""
    return [
        *(Topic(name, partitions, compacted=False, bytes_max=MESSAGE_BYTES_MAX) for name in EVENT_TOPICS.values()),
        *(Topic(state.topic, partitions, compacted=True, bytes_max=MESSAGE_BYTES_MAX) for state in STATES),
        *(Topic(name, partitions, compacted=False, bytes_max=MESSAGE_BYTES_MAX) for name in dialects(channels)),
        Topic(DEAD_LETTERS, partitions, compacted=False),
    ]


class Workers(Parts):
    """Some roles, in this process. Use as a context manager."""

    def __init__(
        self,
        database_url: str,
        kafka: Config,
        roles: Sequence[str],
        *,
        relaying: bool = False,
        session_seconds: float = SESSION_SECONDS,
        channels: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        """`channels` have topics of their own, in the dialect that is named, which are read besides the common one."""
        super().__init__(database_url, **options)
        self.dialects = dialects(channels)
        self.kafka = kafka
        self.session_seconds = session_seconds
        self.wire = Wire(VOCABULARY)
        self.coverage = Coverage(self.recorder, TOPICS_OF)
        self.published = Published(self.recorder)
        self.log = Unread()
        self.fetch_bell = FetchBell(self._hungry)
        self.bell: Waiter = RelayBell(database_url) if relaying and not roles else self.fetch_bell
        self.attendance = Attendance()
        self.relay = self._relay() if relaying else None
        participants: list[Participant] = [self.relay] if self.relay else []
        participants += [self._participant(role) for role in roles]
        self.loop = Loop(participants, self.bell, note=self.note_stops)
        self.attendance.workers = [p for p in participants if isinstance(p, GroupWorker)]

    def __enter__(self) -> Self:
        super().__enter__()
        self.loop.seek()
        return self

    def close(self) -> None:
        close_together([p.close for p in self.loop.participants if isinstance(p, GroupWorker | Relay)])
        if isinstance(self.bell, RelayBell):
            self.bell.close()
        super().close()

    def settled(self) -> bool:
        """Whether every role, here and elsewhere, has done everything that there is, and nothing more will come."""
        if self.world.outstanding():
            return False
        covered = self.coverage.position(INTERESTS)
        return covered == self.last_position() and not self.world.outstanding()

    def settle(self) -> int:
        """Run until `settled`; how many deliveries there were. Raises TimeoutError, and what stopped a partition."""
        total, deadline = 0, time.monotonic() + SETTLED_SECONDS_MAX
        while not self.settled():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not settled within {SETTLED_SECONDS_MAX} s")
            taken = self.loop.turn()
            self._raise_what_stopped()
            total += taken
            if not taken:
                self.bell.wait(1.0)
        return total

    def health(self) -> Health:
        return Health(lambda: self.loop.turned_at, self._not_ready)

    def _hungry(self) -> bool:
        """A relay among the roles is rung for by nobody."""
        return self.relay is not None or any(p.hungry for p in self.loop.participants if isinstance(p, GroupWorker))

    def _not_ready(self) -> Iterator[str]:
        if self.relay and self.relay.problem:
            yield f"relay stopped: {self.relay.problem}"
        for participant in self.loop.participants:
            if isinstance(participant, GroupWorker):
                if not participant.group.joined:
                    yield f"{participant.name} has not joined its group yet"
                for topic in participant.group.missing:
                    yield f"{participant.name} reads {topic}, which is not there; `oms-es topics` makes it"
                for place, error in participant.stopped.items():
                    yield f"{participant.name} stopped at {place}: {without_rows(str(error))}"

    def _raise_what_stopped(self) -> None:
        for participant in self.loop.participants:
            if isinstance(participant, GroupWorker):
                for error in participant.stopped.values():
                    raise error

    def _relay(self) -> Relay:
        publisher = Publisher(self.kafka)
        outlets = (
            EventOutlet(publisher, self.wire, list(EVENT_TOPICS.values())),
            StateOutlet(publisher, STATES),
            DeadLetterOutlet(publisher, CHANNEL_ORDERS_ROLE, DEAD_LETTERS, self.clock),
        )
        RELAY_DEPTH.set_function(lambda: self.last_position() - outlets[0].position)
        published = [*EVENT_TOPICS.values(), *(state.topic for state in STATES), DEAD_LETTERS]

        def check(session: Any) -> None:
            for topic in replaced(session, publisher.topic_ids(published)):
                raise TopicReplaced(why_replaced(topic))

        return Relay(Leadership(self.database_url), publisher, outlets, check, note=self._note_relay)

    def _note_relay(self, problem: str) -> None:
        with suppress(*OUTAGES), self.recorder.datastore.transaction(commit=True) as curs:
            if problem:
                stops.note(curs, {Relay.name: problem})
            else:
                stops.clear(curs, Relay.name)

    def _participant(self, role: str) -> Participant:
        if role == TICKER_ROLE:
            return self.ticker(self.log)
        if role in CALLBACK_ROLES:
            (source,) = (source for source in self.world.callbacks if source.name == role)
            return self.follow(source, self.log)
        if role == CHANNEL_ORDERS_ROLE:
            group = self._group(role, list(self.dialects), keeps_positions=True)
            check = SameTopic(group.topic_id, self._kept_ids).check
            return GroupWorker(group, lambda place: self._input_share(place, check), ARRIVALS_MAX, self.attendance)
        reader_of = self._reader_of(role)
        group = self._group(role, TOPICS_OF[role])
        return GroupWorker(group, lambda place: self._event_share(place, reader_of), PROJECTED_MAX, self.attendance)

    def _group(self, role: str, topics: Sequence[str], *, keeps_positions: bool = False) -> Group:
        ring = self.fetch_bell.ring
        return Group(self.kafka, role, topics, self.session_seconds, ring, keeps_positions=keeps_positions)

    def _reader_of(self, role: str) -> Callable[[PartitionFeed], FeedReader]:
        for consumer in CONSUMERS:
            if consumer.name == role:
                return lambda feed: self.consumer_worker(consumer, feed, self.coverage.position)
        for projection in PROJECTIONS:
            if projection.name == role:
                return lambda feed: ProjectionWorker(self._read_model(projection), feed)
        for gateway in self.world.gateways():
            if gateway.name == role:
                return lambda feed: self.gateway_worker(gateway, feed)
        raise UnknownRole(role)

    def _read_model(self, projection: Projection) -> ReadModel:
        return ReadModel(projection, SqlRows(projection.table, self.sql), alone=False, told=projection.name in TOLD)

    def _event_share(self, place: Place, reader_of: Callable[[PartitionFeed], FeedReader]) -> Share:
        feed = PartitionFeed(place, self.wire, self._refill)
        return EventShare(feed, reader_of(feed), self.published)

    def _input_share(self, place: Place, check: Callable[[str], None]) -> Share:
        source = PartitionSource(place, CHANNEL_ORDERS_ROLE, self.dialects[place.topic])
        read = parser_of(source.dialect)
        worker = IntakeWorker(source, read, self.store, self.log, limit=Limit(), screen=self.screen)
        return InputShare(source, worker, check)

    def _kept_ids(self, seen: Mapping[str, UUID]) -> Mapping[str, UUID]:
        with self.recorder.datastore.transaction(commit=True) as curs:
            return kept_ids(curs, seen)

    def _refill(self, place: Place, after: int, to: int) -> Iterator[Recorded]:
        return missing(self.recorder, self.store.codec, self._partitions(), place, after, to)

    def _partitions(self) -> dict[str, int]:
        with self.recorder.datastore.cursor() as curs:
            return published_partitions(curs)
