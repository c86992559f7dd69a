"""What read models of versioned rules share: every version has a row, and one row is `current`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from oms_es.kernel import Key, Recorded, Row


def key_of_versions(event: Any) -> Iterable[Key]:
    return tuple(dict.fromkeys(((event.version,), (event.supersedes,))))


def published(row: Row | None, event: Any, recorded: Recorded, key: Key, **content: Any) -> Row | None:
    """Return the row of a version after another, or the same, was put in force."""
    if key != (event.version,):
        return {**row, "current": False} if row else None
    return {
        "version": event.version,
        "current": True,
        "published_at": recorded.recorded_at,
        "published_by": recorded.actor,
        **content,
    }
