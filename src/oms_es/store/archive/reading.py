"""The one way in which everything reads the bytes of an event, wherever they are.

Invariant: what a query of the log brings as `state` goes through `whole` before it is decoded, hashed or shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from eventsourcing.persistence import Notification, StoredEvent
from eventsourcing.postgres import PostgresProcessRecorder

from oms_es.store.archive.files import ARCHIVE, MARK, pointer_in


def is_archived(state: bytes) -> bool:
    """Return whether these bytes of a row only name where those of its event are."""
    return state.startswith(MARK)


def whole(state: bytes) -> bytes:
    """Return the event's bytes. Raise ArchiveUnavailable, ArchiveChanged."""
    return ARCHIVE.state(pointer_in(state)) if state.startswith(MARK) else state


class ReadingArchived(PostgresProcessRecorder):
    """The library's recorder, whose queries bring whole events."""

    def select_events(self, *given: Any, **named: Any) -> Sequence[StoredEvent]:
        return [_whole(one) for one in super().select_events(*given, **named)]

    def select_notifications(self, *given: Any, **named: Any) -> Sequence[Notification]:
        return [_whole(one) for one in super().select_notifications(*given, **named)]


def _whole(one: Any) -> Any:
    return replace(one, state=whole(one.state)) if is_archived(one.state) else one
