"""The events that made a row, and the events that each of them follows from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from oms_es.history.rows_then import CODEC, events_of
from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.reports.queries import Connection
from oms_es.store.recorder import EVENTS, event_row

STEPS_MAX = 10_000
"""How many events of one row are shown at once."""
CAUSES_MAX = 12
"""How far back a chain of causes is followed."""
OF_CORRELATION = "SELECT stream, version FROM order_timeline WHERE order_id = ANY(%s) AND event_id = ANY(%s)"
BY_PLACE = (
    f"SELECT * FROM unnest(%s::text[], %s::bigint[]) AS place(stream, version) "
    f"JOIN {EVENTS} ON originator_id = place.stream AND originator_version = place.version"
)


class Step(NamedTuple):
    """An event that changed a row. `changes` has the changed columns with the values before and after it."""

    recorded: Recorded
    changes: Mapping[str, tuple[Any, Any]]

    def as_json(self, causes: Mapping[UUID, Recorded]) -> dict[str, Any]:
        recorded = self.recorded
        return {
            "position": recorded.position,
            "stream": recorded.stream,
            "version": recorded.version,
            "event": type(recorded.event).__name__,
            "recorded_at": recorded.recorded_at,
            "actor": recorded.actor,
            "changes": {name: {"was": was, "is": now} for name, (was, now) in self.changes.items()},
            "because_of": [cause._asdict() for cause in chain_of(recorded, causes)],
        }


class Cause(NamedTuple):
    """An event that another one follows from."""

    position: int
    event: str
    stream: str
    actor: str

    @property
    def words(self) -> str:
        return f"{self.event} ({self.position})"


def steps(
    connection: Connection,
    projection: Projection,
    key: Key,
    position: int,
    events_max: int | None = None,
    *,
    after: int = 0,
    limit: int = STEPS_MAX,
) -> list[Step]:
    """Return the first `limit` steps after a position. Raise NoStateNear if that would take too many events."""
    row: Row | None = None
    found: list[Step] = []
    for recorded in events_of(connection, projection, key, position, events_max):
        before, row = row, projection.folds[type(recorded.event)].project(row, recorded, key)
        if recorded.position > after:
            found.append(Step(recorded, _changes(before or {}, row or {})))
        if len(found) >= limit:
            break
    return found


def causes(connection: Connection, found: Sequence[Step]) -> dict[UUID, Recorded]:
    """Return the causes of the steps, their causes, and so on, by event id.

    A cause is looked for in the order's own streams, which have everything that belongs to it.
    """
    known = {step.recorded.event_id: step.recorded for step in found}
    newest, codec = list(known.values()), CODEC.over(connection)
    for _ in range(CAUSES_MAX):
        wanted = {one.caused_by: one.correlation_id for one in newest if one.caused_by and one.caused_by not in known}
        if not wanted:
            break
        places = connection.execute(OF_CORRELATION, [sorted(set(wanted.values())), list(wanted)]).fetchall()
        values = [[row["stream"] for row in places], [row["version"] for row in places]]
        rows = connection.execute(BY_PLACE.encode(), values).fetchall()
        newest = [codec.decode(event_row(row), row["notification_id"]) for row in rows]
        known |= {one.event_id: one for one in newest}
    return known


def chain_of(recorded: Recorded, causes: Mapping[UUID, Recorded]) -> list[Cause]:
    """Return the causes of an event, from the direct one to the one that came from outside."""
    chain: list[Cause] = []
    while recorded.caused_by is not None and recorded.caused_by in causes and len(chain) < CAUSES_MAX:
        recorded = causes[recorded.caused_by]
        chain.append(Cause(recorded.position, type(recorded.event).__name__, recorded.stream, recorded.actor))
    return chain


def _changes(before: Row, after: Row) -> dict[str, tuple[Any, Any]]:
    names: Iterable[str] = [*after, *(name for name in before if name not in after)]
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}
