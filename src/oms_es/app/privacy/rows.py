"""Rows of read models with personal data, folded again as if the keys of their orders were gone.

Invariant: afterwards each row equals the fold of history without the keys: a rebuild changes nothing, and `verify`
finds nothing. Read models that are not named here give the same rows from placeholders.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from oms_es.app.rebuild import hold_rows, rebuild_lock_of
from oms_es.app.registry import PROJECTIONS
from oms_es.kafka.groups.watermark import Progress
from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.processing.read_models.connections import Connections
from oms_es.processing.read_models.rows import SqlRows
from oms_es.projections.order import order_recipients
from oms_es.schemas.finance.account import AccountEvent, AccountOpened
from oms_es.schemas.finance.statement import StatementEvent
from oms_es.schemas.order import OrderEvent, OrderPlaced
from oms_es.schemas.topics import EVENT_TOPICS
from oms_es.schemas.values.parts import parts_of
from oms_es.schemas.vocabulary import EVENTS as VOCABULARY
from oms_es.store.archive.reading import whole
from oms_es.store.encoding.codec import Codec
from oms_es.store.encoding.trusting import TrustingCodec
from oms_es.store.privacy.subjects import stream_of
from oms_es.store.recorder import EVENTS, EventRow

READ_MAX = 1_000
"""Events that are fetched at a time."""
OF_PEOPLE = tuple(
    sorted(
        (
            projection
            for projection in PROJECTIONS
            if any(column.info.get("personal") for column in projection.table.columns)
            and any(issubclass(event, OrderEvent | AccountEvent | StatementEvent) for event in projection.folds)
        ),
        key=lambda projection: projection.name,
    )
)
PERSONAL_EVENTS = [name for name, event in VOCABULARY.items() if parts_of(event)]
COLUMNS = "notification_id, originator_id, originator_version, topic, state"
OF_STREAMS = (
    f"SELECT {COLUMNS} FROM {EVENTS} WHERE originator_id = ANY(%s) AND topic = ANY(%s) ORDER BY notification_id"
)
SINCE = f"SELECT {COLUMNS} FROM {EVENTS} WHERE notification_id > %s AND topic = %s ORDER BY notification_id"
ORDERS_OF = """
SELECT order_id, channel, customer_id
FROM order_recipients JOIN unnest(%s::text[], %s::text[]) AS whose(channel, customer_id) USING (channel, customer_id)
"""

Connection = psycopg.Connection[dict[str, Any]]
Customer = tuple[str, str]
Touched = Mapping[str, Collection[Key]]


def hold(connection: Connection) -> None:
    """Lock the rows until the transaction ends: no process changes or rebuilds them, and none relies on its cached rows
    afterwards."""
    for projection in OF_PEOPLE:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [rebuild_lock_of(projection.name)])
    for projection in OF_PEOPLE:
        hold_rows(connection, projection.name)


def events_of(connection: Connection, subjects: Iterable[str], topics: Iterable[str]) -> Iterator[Recorded]:
    """Yield events of orders, accounts and statements in the order of positions, decrypted with the keys that exist
    now."""
    return _decoded(connection, OF_STREAMS, [[stream_of(one) for one in subjects], list(topics)])


def _decoded(connection: Connection, query: str, values: list[Any]) -> Iterator[Recorded]:
    codec: Codec = TrustingCodec(VOCABULARY).over(connection)
    with connection.cursor(name="of_orders", binary=True, row_factory=tuple_row) as curs:
        curs.itersize = READ_MAX
        curs.execute(query.encode(), values)
        for position, stream, version, topic, state in curs:
            yield codec.decode(EventRow(stream, version, topic, whole(state)), position)


def touched_by(connection: Connection, subjects: Collection[str]) -> Touched:
    """Return the keys of the rows that the events of orders and accounts fold into, and of the row of each account's
    customer; called while their keys exist."""
    topics = {event.__name__ for projection in OF_PEOPLE for event in projection.folds}
    found: dict[str, dict[Key, None]] = {projection.name: {} for projection in OF_PEOPLE}
    for recorded in events_of(connection, subjects, topics):
        if isinstance(recorded.event, AccountOpened) and recorded.event.customer_id:
            found["customers"][recorded.event.channel, recorded.event.customer_id] = None
        for projection in OF_PEOPLE:
            if fold := projection.folds.get(type(recorded.event)):
                keys = [()] if projection.insert_only else fold.keys(recorded)  # its rows are found by their events
                found[projection.name].update(dict.fromkeys(keys))
    return found


def customers_in(touched: Touched) -> set[Customer]:
    return {(str(channel), str(customer_id)) for channel, customer_id in touched["customers"]}


def other_orders(connection: Connection, customers: Collection[Customer]) -> dict[str, Customer]:
    """Return the customers' orders, with whose each is: those that are listed, and those that were placed since the
    list was folded."""
    if not customers:
        return {}
    pairs = sorted(customers)
    listed = connection.execute(ORDERS_OF, [[c for c, _ in pairs], [i for _, i in pairs]]).fetchall()
    placed = (recorded.event for recorded in not_folded_yet(connection, order_recipients.projection, OrderPlaced))
    newer = {
        event.order_id: (event.channel, event.customer_id)
        for event in placed
        if isinstance(event, OrderPlaced) and (event.channel, event.customer_id) in customers
    }
    return {row["order_id"]: (row["channel"], row["customer_id"]) for row in listed} | newer


def not_folded_yet(connection: Connection, projection: Projection, event: type[OrderEvent]) -> Iterator[Recorded]:
    """Yield the events of one type that the read model may not show yet. It needs a transaction."""
    since = folded_up_to(Progress.stored(connection), projection.name)
    return _decoded(connection, SINCE, [since, event.__name__])


def folded_up_to(reached: Progress, name: str, category: str = "order") -> int:
    """Return the position up to which the read model shows every event of the streams of a category."""
    own = reached.topic_partitions(name)
    log = own.pop(name)
    return min(own.values()) if own and len(own) == reached.partitions.get(EVENT_TOPICS[category]) else log


def fold_again(connection: Connection, subjects: Collection[str], others: Collection[str], touched: Touched) -> int:
    """Fold the rows again with the keys that exist now; return how many changed. The rows must be locked."""
    reached = Progress.stored(connection)
    return sum(
        _fold_again(connection, projection, subjects, others, touched[projection.name], reached)
        for projection in OF_PEOPLE
        if touched[projection.name]
    )


def _fold_again(
    connection: Connection,
    projection: Projection,
    subjects: Collection[str],
    others: Collection[str],
    keys: Collection[Key],
    reached: Progress,
) -> int:
    if projection.insert_only:
        return _fold_each(connection, projection, subjects, reached)
    rows: dict[Key, Row | None] = dict.fromkeys(keys)
    read = {*subjects, *others} if projection.shared else subjects
    topics = [event.__name__ for event in projection.folds]
    for recorded in events_of(connection, read, topics):
        if reached.has_taken(projection.name, recorded.stream, recorded.position):
            fold = projection.folds[type(recorded.event)]
            for key in fold.keys(recorded):
                if key in rows:
                    rows[key] = fold.project(rows[key], recorded, key)
    return _write(connection, projection, rows)


def _fold_each(connection: Connection, projection: Projection, subjects: Collection[str], reached: Progress) -> int:
    """Fold a read model whose rows are each made by one event, one event at a time: they may be many."""
    topics, changed = [event.__name__ for event in projection.folds], 0
    for recorded in events_of(connection, subjects, topics):
        if reached.has_taken(projection.name, recorded.stream, recorded.position):
            fold = projection.folds[type(recorded.event)]
            changed += _write(
                connection, projection, {key: fold.project(None, recorded, key) for key in fold.keys(recorded)}
            )
    return changed


def _write(connection: Connection, projection: Projection, rows: Mapping[Key, Row | None]) -> int:
    table = SqlRows(projection.table, Connections(""))  # it never connects; only statements are made
    before = table.found(connection, list(rows))
    changed = {key: row for key, row in rows.items() if before.get(key) != row}
    gone = [key for key, row in changed.items() if row is None]
    for change in table.changes([row for row in changed.values() if row is not None], gone):
        connection.execute(change.statement.encode(), {"rows": change.rows})
    return len(changed)
