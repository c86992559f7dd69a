"""The timeline of an order, each entry with the parameters of its sentence, so that it can be written in another
language.

The parameters are read from the events and stored in no table: an order has many entries, and few are ever looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from oms_es.kernel import Event, Recorded
from oms_es.processing.read_models.folding import folded
from oms_es.projections.order import order_timeline
from oms_es.projections.order.timeline_sentences import parameters_of
from oms_es.reports.queries import TIMELINE_MAX, Connection, Row
from oms_es.reports.streams import At
from oms_es.store.encoding.codec import Codec
from oms_es.store.recorder import EVENTS, event_row

OF_EVENTS = f"SELECT * FROM {EVENTS} WHERE notification_id = ANY(%s) ORDER BY notification_id"


class Timeline(NamedTuple):
    """The entries of a timeline, and the events that they are of, in the same order."""

    entries: list[Row]
    events: list[Recorded]


def timeline(connection: Connection, codec: Codec, order_id: str, at: At | None = None) -> Timeline:
    """Return the timeline of an order, now or as of a position or a time."""
    until = "" if at is None else f"AND {'position' if isinstance(at, int) else 'recorded_at'} <= %(at)s"
    query = f"SELECT * FROM order_timeline WHERE order_id = %(order)s {until} ORDER BY position LIMIT %(most)s"
    asked = {"order": order_id, "at": at, "most": TIMELINE_MAX}
    entries = connection.execute(query.encode(), asked).fetchall()
    stored = connection.execute(OF_EVENTS.encode(), [[entry["position"] for entry in entries]])
    events = [codec.decode(event_row(row), row["notification_id"]) for row in stored]
    return Timeline(_with_parameters(entries, events), events)


def timeline_of(events: Sequence[Recorded]) -> list[Row]:
    """Return the entries that these events make."""
    return _with_parameters(list(folded(order_timeline.projection, events).values()), events)


def _with_parameters(entries: Sequence[Mapping[str, Any]], events: Sequence[Recorded]) -> list[Row]:
    event_at = {recorded.position: recorded.event for recorded in events}
    return [{**entry, "parameters": _parameters(event_at.get(entry["position"]))} for entry in entries]


def _parameters(event: Event | None) -> Mapping[str, str] | None:
    """Return the parameters, or None for an event that someone has deleted: its entry is all that is left."""
    return None if event is None else parameters_of(event)
