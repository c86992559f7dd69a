"""One row of any read model as of a position, from the events of the streams that feed it.

If its key does not name these streams, or they have too many events, the row is folded from the nearest kept state and
the events since.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier

from oms_es.history.states import NoStateNear, State, kept, nearest, require_near
from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.processing.read_models.history_pages import pages
from oms_es.reports.queries import Connection
from oms_es.schemas.vocabulary import EVENTS as VOCABULARY
from oms_es.store.archive.reading import whole
from oms_es.store.encoding.trusting import TrustingCodec
from oms_es.store.recorder import EVENTS, EventRow

ROW_EVENTS_MAX = 20_000
"""How many events of the feeding streams are read; for more, a kept state is used."""
CODEC = TrustingCodec(VOCABULARY)
POSITION = "position"
COLUMNS = "notification_id, originator_id, originator_version, topic, state"
OF_STREAMS = (
    f"SELECT {COLUMNS} FROM {EVENTS} WHERE originator_id = ANY(%s) AND notification_id <= %s AND topic = ANY(%s) "
    "ORDER BY notification_id LIMIT %s"
)
AT_POSITION = f"SELECT {COLUMNS} FROM {EVENTS} WHERE notification_id = %s AND notification_id <= %s"


def row(
    connection: Connection, projection: Projection, key: Key, position: int, events_max: int | None = None
) -> Row | None:
    """Return the row as of the position. Raise NoStateNear if that would take too many events."""
    if (events := _events_of(connection, projection, key, position)) is not None:
        return folded_row(projection, key, None, events)
    base = nearest(kept(connection), projection, position)
    require_near(projection.name, base, position, events_max)
    since = base.position if base else 0
    topics = [event.__name__ for event in projection.folds]
    read = (recorded for page in pages(connection, topics, position, since) for recorded in page)
    return folded_row(projection, key, _kept_row(connection, projection, key, base), read)


def events_of(
    connection: Connection, projection: Projection, key: Key, position: int, events_max: int | None = None
) -> Iterator[Recorded]:
    """Yield the events that made or removed the row, in order; if its key does not name streams, all history is
    searched. Raise NoStateNear if that would take too many events.
    """
    known = _events_of(connection, projection, key, position)
    if known is None and events_max is not None and position > events_max:
        raise NoStateNear(
            f"the events of this row are anywhere among {position:,}; ask with `oms-es explain {projection.name}`"
        )
    topics = [event.__name__ for event in projection.folds]
    read: Iterable[Recorded] = (
        known if known is not None else (one for page in pages(connection, topics, position) for one in page)
    )
    yield from (recorded for recorded in read if key in keys_of(projection, recorded))


def keys_of(projection: Projection, recorded: Recorded) -> Sequence[Key]:
    found = projection.folds.get(type(recorded.event))
    return tuple(found.keys(recorded)) if found else ()


def folded_row(projection: Projection, key: Key, row: Row | None, events: Iterable[Recorded]) -> Row | None:
    """Return the row after the events, folded from its earlier value; other rows that the events change are ignored."""
    for recorded in events:
        found = projection.folds.get(type(recorded.event))
        if found and key in found.keys(recorded):
            row = found.project(row, recorded, key)
    return row


def _events_of(connection: Connection, projection: Projection, key: Key, position: int) -> list[Recorded] | None:
    """Return the events; None if the streams are not known, or have too many events."""
    with connection.cursor(binary=True, row_factory=tuple_row) as curs:
        if POSITION in projection.key_columns:
            values: list[Any] = [key[projection.key_columns.index(POSITION)], position]
            return _read(connection, curs.execute(AT_POSITION.encode(), values).fetchall())
        streams = projection.streams_of(key)
        if not streams:
            return None
        topics = [event.__name__ for event in projection.folds]
        rows = curs.execute(OF_STREAMS.encode(), [list(streams), position, topics, ROW_EVENTS_MAX + 1]).fetchall()
        return None if len(rows) > ROW_EVENTS_MAX else _read(connection, rows)


def _read(connection: Connection, rows: Iterable[tuple[Any, ...]]) -> list[Recorded]:
    codec = CODEC.over(connection)
    return [
        codec.decode(EventRow(stream, version, topic, whole(state)), at) for at, stream, version, topic, state in rows
    ]


def _kept_row(connection: Connection, projection: Projection, key: Key, base: State | None) -> Row | None:
    if base is None:
        return None
    same = SQL(" AND ").join(SQL("{} = %s").format(Identifier(name)) for name in projection.key_columns)
    query = SQL("SELECT * FROM {} WHERE {}").format(Identifier(base.schema, base.read_model), same)
    return connection.execute(query, list(key)).fetchone()
