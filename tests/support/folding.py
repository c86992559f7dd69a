"""fold(projection, *events): the rows that a history leaves, by their key, folded as the engine folds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

from oms_es.kernel import Event, Key, Projection, Recorded, Row
from oms_es.processing.read_models.folding import folded

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


SAID = frozenset({"note", "reason", "detail", "why"})
"""Fields with free text."""


def unsaid(event: Event) -> Event:
    """Return the event with its free texts emptied."""
    return event.model_copy(update=dict.fromkeys(SAID & type(event).model_fields.keys(), ""))


def recorded_at(position: int) -> datetime:
    """Return the time of a position: one event per second."""
    return NOON + timedelta(seconds=position)


def as_recorded(events: Sequence[Event]) -> Iterator[Recorded]:
    for position, event in enumerate(events, start=1):
        yield Recorded(
            position=position,
            stream="test",
            version=position,
            event=event,
            event_id=uuid5(NAMESPACE_URL, f"reported#{position}"),
            recorded_at=recorded_at(position),
            caused_by=uuid5(NAMESPACE_URL, f"reported#{position - 1}") if position > 1 else None,
            correlation_id="test",
            actor="someone",
        )


def fold(projection: Projection, *events: Event) -> dict[Key, Row]:
    left = folded(projection, as_recorded(events))
    for key, row in left.items():
        _check_fits(projection, key, row)
    return left


def _check_fits(projection: Projection, key: Key, row: Row) -> None:
    """Assert that the row has a value for every column, and the key's values."""
    table = projection.table
    assert set(row) == {column.name for column in table.columns}
    assert tuple(row[column.name] for column in table.primary_key) == key
    assert all(row[column.name] is not None for column in table.columns if not column.nullable)
