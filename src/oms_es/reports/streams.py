"""One stream as history has it, now or as of any time: its events, and the state that they fold to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import reduce
from typing import TypeVar

from oms_es.kernel import Decider, Recorded
from oms_es.reports.queries import Connection
from oms_es.store.encoding.codec import Codec
from oms_es.store.recorder import EVENTS, event_row

EVENTS_MAX = 10_000
"""How many events of a stream are read, from the first; the state is folded from these."""
S = TypeVar("S")
At = int | datetime
"""A position of the log, or a time."""


def end_of_log(connection: Connection) -> int:
    """Return the position of the newest event; 0 for an empty log."""
    row = connection.execute(f"SELECT max(notification_id) AS position FROM {EVENTS}").fetchone()
    return (row and row["position"]) or 0


def history(connection: Connection, codec: Codec, stream: str, at: At | None = None) -> list[Recorded]:
    return histories(connection, codec, [stream], at).get(stream, [])


def histories(
    connection: Connection, codec: Codec, streams: Sequence[str], at: At | None = None
) -> dict[str, list[Recorded]]:
    """Return the events of each stream that exists, in order."""
    query = f"SELECT * FROM {EVENTS} WHERE originator_id = ANY(%s) ORDER BY originator_id, originator_version LIMIT %s"
    found: dict[str, list[Recorded]] = {}
    for row in connection.execute(query.encode(), [list(streams), EVENTS_MAX]):
        recorded = codec.decode(event_row(row), row["notification_id"])
        if at is None or is_by(recorded, at):
            found.setdefault(recorded.stream, []).append(recorded)
    return found


def is_by(recorded: Recorded, at: At) -> bool:
    """Return whether the event was recorded by that position or time."""
    return recorded.position <= at if isinstance(at, int) else recorded.recorded_at <= at


def state(decider: Decider[S], events: Sequence[Recorded]) -> S:
    return reduce(lambda so_far, recorded: decider.evolve(so_far, recorded.event), events, decider.initial)
