"""An order, or a SKU's stock, as of a time: as the read models showed it then, folded from the events recorded by then.

Reads the log, and the timeline for the positions of an order's events; later events are not read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from oms_es.kernel import Key, Projection, Recorded
from oms_es.kernel import Row as Level
from oms_es.processing.read_models.folding import fold, folded
from oms_es.projections.operations import open_exceptions
from oms_es.projections.order import order_status
from oms_es.projections.stock import serial_numbers, stock_levels, stock_places
from oms_es.reports.queries import LOCATIONS_MAX, Connection, Row
from oms_es.reports.streams import At, is_by
from oms_es.reports.timelines import timeline
from oms_es.schemas.operations.exception import ExceptionResolved
from oms_es.store.encoding.codec import Codec
from oms_es.store.recorder import EVENTS, event_row
from oms_es.verification.reading import READ_MAX

NEVER = datetime.max.replace(tzinfo=UTC)
BEFORE_ALL = datetime.min.replace(tzinfo=UTC)
STEP = ("location", "on_hand", "reserved", "atp", "inbound")
"""The columns of a step in a SKU's history."""


class OrderThen(NamedTuple):
    """An order as of a time. `status` is None if the order was not known yet."""

    status: Row | None
    exceptions: list[Row]
    timeline: list[Row]


class StockThen(NamedTuple):
    """The stock of a SKU as of a time. `serials` has the serial numbers by location."""

    levels: list[Row]
    places: list[Row]
    serials: dict[str, list[str]]


def order(connection: Connection, codec: Codec, order_id: str, at: At) -> OrderThen:
    entries, events = timeline(connection, codec, order_id, at)
    status = folded(order_status.projection, events).get((order_id,))
    resolved = {e.exception_id: e.raised_at for r in events if isinstance(e := r.event, ExceptionResolved)}
    raised = [
        row
        for row in _rows(open_exceptions.projection, events)
        if row["order_id"] == order_id and row["last_raised_at"] > resolved.get(row["exception_id"], BEFORE_ALL)
    ]
    return OrderThen(dict(status) if status else None, sorted(raised, key=lambda row: row["raised_at"]), entries)


def stock(connection: Connection, codec: Codec, sku: str, at: At) -> StockThen:
    events = [recorded for recorded in _of_sku(connection, codec, sku) if is_by(recorded, at)]
    levels, places, numbers = (
        _rows(projection, events)
        for projection in (stock_levels.projection, stock_places.projection, serial_numbers.projection)
    )
    serials: dict[str, list[str]] = {}
    for row in sorted(numbers, key=lambda row: (row["location"], row["serial"])):
        serials.setdefault(row["location"], []).append(row["serial"])
    return StockThen(sorted(levels, key=lambda row: str(row["location"])), sorted(places, key=_as_listed), serials)


def stock_steps(connection: Connection, codec: Codec, sku: str, steps_max: int) -> list[Row]:
    """Return each event of a SKU's stock with the level after it at its location; if there are many, the last ones."""
    kept: deque[Row] = deque(maxlen=steps_max)
    levels: dict[Key, Level | None] = {}
    for recorded in _of_sku(connection, codec, sku):
        touched = {key: levels.get(key) for key in _keys_of(recorded)}
        fold(stock_levels.projection, touched, [recorded])
        levels |= touched
        at = {
            "position": recorded.position,
            "recorded_at": recorded.recorded_at,
            "event": type(recorded.event).__name__,
        }
        kept.extend({**at, **{name: row[name] for name in STEP}} for row in touched.values() if row)
    return list(kept)


def _keys_of(recorded: Recorded) -> Iterable[Key]:
    found = stock_levels.projection.folds.get(type(recorded.event))
    return found.keys(recorded) if found else ()


def _of_sku(connection: Connection, codec: Codec, sku: str) -> Iterator[Recorded]:
    known = connection.execute("SELECT location FROM stock_levels WHERE sku = %s LIMIT %s", [sku, LOCATIONS_MAX])
    streams = [f"serials-{sku}", *(f"stock-{sku}@{row['location']}" for row in known)]
    of_streams = f"SELECT * FROM {EVENTS} WHERE originator_id = ANY(%s) ORDER BY notification_id"
    yield from _read(connection, codec, of_streams, streams)


def _read(connection: Connection, codec: Codec, query: str, wanted: Sequence[object]) -> Iterator[Recorded]:
    with connection.transaction(), connection.cursor(name="then") as curs:
        curs.itersize = READ_MAX
        curs.execute(query.encode(), [list(wanted)])
        for row in curs:
            yield codec.decode(event_row(row), row["notification_id"])


def _rows(projection: Projection, events: Iterable[Recorded]) -> list[Row]:
    return [dict(row) for row in folded(projection, events).values()]


def _as_listed(place: Row) -> tuple[object, ...]:
    """Return the key by which places are sorted: lots that expire first come first."""
    return (place["location"], place["lot_expires_at"] or NEVER, place["bin"], place["lot"], place["condition"])
