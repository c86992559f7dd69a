"""Events after a position, by the day on which they were recorded (UTC), with their bodies as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from oms_es.reports.exporting.manifest import File
from oms_es.reports.exporting.parquet import Columns, written
from oms_es.reports.queries import Connection
from oms_es.store.archive.reading import whole
from oms_es.store.encoding.codec import Codec, opened
from oms_es.store.recorder import EVENTS, event_row

READ_MAX = 20_000
"""How many events a step reads: as many are in memory, and are read again by an export that was killed."""
COLUMNS: Columns = {
    "position": int,
    "stream": str,
    "version": int,
    "event": str,
    "event_id": str,
    "recorded_at": datetime,
    "caused_by": str,
    "correlation_id": str,
    "actor": str,
    "body": str,
}
AFTER = f"SELECT * FROM {EVENTS} WHERE notification_id > %s AND notification_id <= %s ORDER BY notification_id LIMIT %s"


def first_event(connection: Connection) -> str:
    """Return the id of the log's first event; empty if it has none."""
    row = connection.execute(f"SELECT state FROM {EVENTS} ORDER BY notification_id LIMIT 1").fetchone()
    return str(opened(whole(bytes(row["state"])))[1]["event_id"]) if row else ""


def steps(
    connection: Connection, codec: Codec, directory: Path, after: int, until: int
) -> Iterator[tuple[int, list[File]]]:
    """Yield the position that is reached and the files up to there, step by step."""
    while rows := connection.execute(AFTER.encode(), [after, until, READ_MAX]).fetchall():
        by_day: dict[date, list[tuple[Any, ...]]] = defaultdict(list)
        for row in rows:
            values = _values_of(codec, row)
            by_day[values[5].date()].append(values)
        after = rows[-1]["notification_id"]
        yield after, [_file(directory, day, values) for day, values in sorted(by_day.items())]


def _file(directory: Path, day: date, rows: list[tuple[Any, ...]]) -> File:
    name = f"{rows[0][0]:012d}-{rows[-1][0]:012d}.parquet"
    return written(directory, directory / "events" / f"day={day}" / name, COLUMNS, rows)


def _values_of(codec: Codec, row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return an event's columns. A body of the current schema version is copied as it is stored, without parsing."""
    stored = event_row(row)
    body, envelope = opened(stored.state)
    if envelope["schema_version"] != codec.events[stored.topic].schema_version:
        body = codec.decode(stored).event.model_dump_json().encode()
    return (
        row["notification_id"],
        stored.originator_id,
        stored.originator_version,
        stored.topic,
        envelope["event_id"],
        datetime.fromisoformat(envelope["recorded_at"]).astimezone(UTC),
        envelope["caused_by"],
        envelope["correlation_id"],
        envelope["actor"],
        body.decode(),
    )
