"""What follows from an event without a request to an external system, as one transaction.

Invariant: the events of a chain, the rows folded from them and the positions of every reader that has taken them are
committed together, and only if no one else has written since the chain was begun. Otherwise nothing of it has happened,
and every reader takes steps of its own.

A chain ends before a gateway's turn: a request to an external system must be durable first.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import structlog

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.kernel import Event, Key, Lookup, LookupResults, Recorded, Row
from oms_es.processing import metrics
from oms_es.processing.read_models.lookups import Finder
from oms_es.processing.read_models.model import Staged
from oms_es.processing.readers import (
    ConsumerWorker,
    FeedReader,
    NothingToSave,
    ProjectionWorker,
    reactions,
)
from oms_es.store.draft import Draft, Overtaken
from oms_es.store.log import Log
from oms_es.store.outcomes import addressed_of
from oms_es.store.recorder import PositionLost
from oms_es.store.store import OUTAGES, Store

log = structlog.get_logger(__name__)

TOGETHER_MAX = 1_000
"""Events that read models for people fold in one transaction; with more, each has its own."""

NEW_MAX = 100
"""Events that a chain begins with. Where there are more, the steps of each reader share a transaction among them."""
FOLLOWING_MAX = 1_000
"""Events decided in one chain; what follows from the last of them is the next one's."""

ATTEMPTS_MAX = 3
"""How often a chain is begun again where others write meanwhile, before every reader takes steps."""


Place = tuple[str, str, int | None, str | None]
Found = dict[Place, dict[Hashable, Sequence[Row]]]


class Unordered(OmsError):
    """Which rows come first, and which of them are among so many, only the database can say: the chain ends here."""

    code = "unordered"
    exit_code = Code.UNEXPECTED
    status = HTTPStatus.SERVICE_UNAVAILABLE


class Interested(NamedTuple):
    """The readers that are interested in an event."""

    consumers: Sequence[ConsumerWorker]
    projections: Sequence[ProjectionWorker]


def interested_of(
    kind: type[Event], consumers: Sequence[ConsumerWorker], projections: Sequence[ProjectionWorker]
) -> Interested:
    return Interested(
        [worker for worker in consumers if kind in worker.interests],
        [worker for worker in projections if kind in worker.interests],
    )


class Chain(NothingToSave):
    """`projections`: those that fold the facts that the consumers ask for."""

    batch_max = FOLLOWING_MAX * 100
    """A step that takes as much is followed by another at once: none does."""

    def __init__(
        self,
        consumers: Sequence[ConsumerWorker],
        projections: Sequence[ProjectionWorker],
        store: Store,
        feed: Log,
        new_max: int = NEW_MAX,
        following_max: int = FOLLOWING_MAX,
        name: str = "chain",
    ) -> None:
        self.name = name
        self.consumers = consumers
        self.projections = projections
        self.readers: Sequence[FeedReader] = [*consumers, *projections]
        self.store = store
        self.feed = feed
        self.new_max = new_max
        self.following_max = following_max
        self._interested: dict[Hashable, Interested] = {}

    def step(self) -> int:
        """Return the number of deliveries; 0 if there are none, or they are left to each reader's own steps."""
        for _ in range(ATTEMPTS_MAX):
            try:
                return self._attempt()
            except Overtaken as error:
                log.debug("chain overtaken", reason=str(error))
                self.was_overtaken()
                self.feed.refresh()
            except PositionLost as error:
                log.warning("chain not committed, seeking", reason=str(error))
                self.seek()
                return 1
            except OUTAGES as error:  # 0, so that an outage that lasts is met by a reader's own step, which raises it
                log.warning("chain not committed, seeking", reason=str(error))
                self.seek()
                return 0
            except Exception as error:  # noqa: BLE001 - whichever event fails, the steps find it
                log.debug("chain not committed, taking steps", reason=f"{type(error).__name__}: {error}")
                return 0
        return 0

    def _attempt(self) -> int:
        begin = self.begin()
        if not 0 < self.feed.end - begin <= self.new_max:
            return 0
        links = Links(self, self.feed.read(begin, self.new_max))
        if not links.reach_the_end():
            return 0
        with metrics.timed(self.name) as count:
            links.follow()
            if not links.deliveries:
                return 0
            self.commit(links)
            count(links.deliveries)
        self.feed.notify_appended(links.draft.recorded)
        links.settle()
        return links.deliveries

    def commit(self, links: Links) -> None:
        """Raises Overtaken, PositionLost."""
        self.store.commit(links.draft, links.write)

    def was_overtaken(self) -> None:
        """Others wrote while it was decided: what was decided is dropped."""

    def begin(self) -> int:
        """The lowest position of all readers: everything new to any of them comes after it."""
        return min(map(self.position, self.readers))

    def position(self, reader: FeedReader) -> int:
        """The position up to which it has taken every event of interest."""
        return reader.seen

    def passed(self, reader: FeedReader, position: int) -> None:
        """Note the position that it reaches when the chain is committed."""
        reader.seen = max(reader.seen, position)

    def interested(self, recorded: Recorded) -> Interested:
        """Cached per type of event: most types interest only a few readers."""
        kind = type(recorded.event)
        if kind not in self._interested:
            self._interested[kind] = interested_of(kind, self.consumers, self.projections)
        return self._interested[kind]

    def lookups(self, worker: ConsumerWorker, links: Links) -> Finder:
        return StagedLookups(worker.lookups, links.staged, links.found)

    def seek(self) -> None:
        for reader in self.readers:
            reader.seek()


class Together(Chain):
    """Read models that no decision reads, folded together in one transaction in the background."""

    name = "read_models"

    def __init__(self, projections: Sequence[ProjectionWorker], store: Store, feed: Log) -> None:
        super().__init__((), projections, store, feed, TOGETHER_MAX, name=self.name)

    def commit(self, links: Links) -> None:
        with self.store.recorder.moving() as transaction:
            links.write(transaction)


class Links:
    """One attempt to build a chain and commit it."""

    def __init__(self, chain: Chain, new: Sequence[Recorded]) -> None:
        self.chain = chain
        self.last_new = new[-1].position if new else 0
        self.draft: Draft = chain.store.draft(chain.feed.end)
        self.at = {reader.name: chain.position(reader) for reader in chain.readers}
        self.staged: dict[str, Staged] = {}  # of the read models that change
        self.found: Found = {}  # what was looked up, as the database has it
        self.taken: dict[FeedReader, int] = {}  # how many deliveries each has had
        self.to_react: dict[ConsumerWorker, list[Recorded]] = {}
        self.to_fold: dict[ProjectionWorker, list[Recorded]] = {}
        self._deliver(new)

    def reach_the_end(self) -> bool:
        """Return whether everything was read: a reader that is far behind reads page by page."""
        return self.last_new == self.draft.end

    @property
    def deliveries(self) -> int:
        return sum(self.taken.values())

    @property
    def end(self) -> int:
        return self.draft.end + len(self.draft.recorded)

    def follow(self) -> None:
        """Deliver events and decide commands until no command follows any more. Raises what the deliveries raise."""
        before = -1
        while before < self.deliveries and len(self.draft.recorded) <= self.chain.following_max:
            before = self.deliveries
            try:
                for worker in self.chain.consumers:
                    if worker in self.to_react:
                        self._react(worker)
            except Unordered as reason:
                log.debug("chain ends here", reason=str(reason))
                break
        self._fold()
        for reader in self.chain.readers:
            if reader not in self.to_react:
                self.at[reader.name] = max(self.at[reader.name], self.end)

    def write(self, transaction: Any) -> None:
        """Rows before positions, in the order of a projection's own steps: no two wait for each other."""
        recorder = self.chain.store.recorder
        roles = dict.fromkeys(worker.role for worker in self.chain.projections if worker.role in self.staged)
        changed = [self.staged[role] for role in roles]
        for staged in changed:
            staged.hold(transaction)
        if changes := [change for staged in changed for change in staged.changes(self.end)]:
            recorder.change(transaction, changes)
        moves = [reader.move_to(self.at[reader.name]) for reader in self.taken]
        lost = {move.name for move in moves} - recorder.move(transaction, moves)
        if lost:
            raise PositionLost(f"moved by another worker: {', '.join(sorted(lost))}")

    def settle(self) -> None:
        """Take over the new states and positions after the commit."""
        for staged in self.staged.values():
            staged.model.remember(staged.rows)
        for reader in self.chain.readers:
            if reader in self.taken:
                reader.was_saved(reader.move_to(self.at[reader.name]))
                metrics.DELIVERIES.labels(reader.role).observe(self.taken[reader])
            self.chain.passed(reader, self.at[reader.name])

    def _deliver(self, events: Sequence[Recorded]) -> None:
        for recorded in events:
            interested = self.chain.interested(recorded)
            for consumer in interested.consumers:
                if recorded.position > self.at[consumer.name]:
                    self.to_react.setdefault(consumer, []).append(recorded)
            for projection in interested.projections:
                if recorded.position > self.at[projection.name]:
                    self.to_fold.setdefault(projection, []).append(recorded)

    def _react(self, worker: ConsumerWorker) -> None:
        if worker.lookup_projections:
            self._fold()
        deliveries = self.to_react[worker]
        batch = reactions(worker.consumer, deliveries, self.chain.lookups(worker, self))
        del self.to_react[worker]
        self._took(worker, deliveries)
        self._deliver(self.draft.decide(addressed_of(batch), self.chain.store.clock()))

    def _fold(self) -> None:
        for worker, deliveries in self.to_fold.items():
            if worker.role not in self.staged:
                self.staged[worker.role] = worker.read_model.staged()
            self.staged[worker.role].fold(deliveries)
            self._took(worker, deliveries)
        self.to_fold.clear()

    def _took(self, reader: FeedReader, deliveries: Sequence[Recorded]) -> None:
        self.at[reader.name] = max(self.at[reader.name], self.end)
        self.taken[reader] = self.taken.get(reader, 0) + len(deliveries)


class StagedLookups:
    """Lookups in read models that include the rows which a chain has changed and not committed yet.

    `found`: what the chain has looked up before, which is not asked for again: the chain is committed only if no one
    else has written since it was begun.
    """

    def __init__(self, lookups: Finder, staged: Mapping[str, Staged], found: Found) -> None:
        self.lookups = lookups
        self.staged = staged
        self.found = found

    def fetch(self, wanted: Mapping[Lookup, Iterable[Hashable]]) -> LookupResults:
        """Raises Unordered."""
        asked = {want: list(dict.fromkeys(keys)) for want, keys in wanted.items()}
        self._find({want: new for want, keys in asked.items() if (new := self._not_found(want, keys))})
        results: dict[str, dict[Hashable, Sequence[Row]]] = {}
        for want, keys in asked.items():
            found = self.found[_place_of(want)] if keys else {}
            rows = {key: self._with_changes(want, key, found[key]) for key in keys}
            results.setdefault(want.projection, {}).update(rows)
        return results

    def _not_found(self, want: Lookup, keys: Sequence[Hashable]) -> list[Hashable]:
        found = self.found.get(_place_of(want), {})
        return [key for key in keys if key not in found]

    def _find(self, wanted: Mapping[Lookup, Sequence[Hashable]]) -> None:
        if wanted:
            found = self.lookups.fetch(wanted)
            for want, keys in wanted.items():
                rows = found[want.projection]
                self.found.setdefault(_place_of(want), {}).update((key, rows[key]) for key in keys)

    def _with_changes(self, want: Lookup, key: Hashable, rows: Sequence[Row]) -> Sequence[Row]:
        staged = self.staged.get(want.projection)
        return changed_rows(want, key, rows, staged.rows, staged.key_of) if staged else rows


def _place_of(want: Lookup) -> Place:
    """Return what a lookup reads, for whichever consumer."""
    return want.projection, want.by, want.limit, want.order_by


def changed_rows(
    want: Lookup, key: Hashable, rows: Sequence[Row], changed: Mapping[Key, Row | None], key_of: Callable[[Row], Key]
) -> Sequence[Row]:
    """The rows that the database has for a key, as the changes leave them. Raises Unordered.

    Where a row comes among others is the database's to say: it has an order of texts of its own.
    """
    there, found = set(), []
    for row in rows:
        row_key = key_of(row)
        there.add(row_key)
        new = changed.get(row_key, row)
        if new is None or new[want.by] != key:
            if want.limit is not None and len(rows) >= want.limit:
                raise Unordered(f"which {want.projection} comes after the {want.limit} that were found is not known")
        elif want.order_by and new[want.order_by] != row[want.order_by]:
            raise Unordered(f"a row of {want.projection} has another place now")
        else:
            found.append(new)
    more = [row for k, row in changed.items() if row is not None and k not in there and row[want.by] == key]
    if more and (found or len(more) > 1):
        raise Unordered(f"rows of {want.projection} are new among others")
    return found or more
