"""Times and positions: what "as of" means.

Invariant: as of a time means as of one position of the log, so that all answers for a time are about the same history.
This position is the last event recorded by then. The clocks of several processes differ a little, so that events next
to it may have been recorded slightly later.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from oms_es.errors import OmsError
from oms_es.exit_codes import Code
from oms_es.reports.queries import Connection
from oms_es.reports.streams import At, end_of_log
from oms_es.store.archive.reading import whole
from oms_es.store.encoding.codec import opened
from oms_es.store.recorder import EVENTS

LOOKED_AT_MAX = 1_000
"""How many events after the first later one are checked, because clocks differ."""
POSITION = re.compile(r"[0-9]{1,18}", re.ASCII)
NEXT = f"SELECT notification_id, state FROM {EVENTS} WHERE notification_id > %s ORDER BY notification_id LIMIT %s"
LAST = f"SELECT notification_id, state FROM {EVENTS} WHERE notification_id <= %s ORDER BY notification_id DESC LIMIT 1"


class StillToCome(OmsError):
    """The log has not reached that time or position: ask for an earlier one, or leave it out for the current state."""

    code = "still_to_come"
    exit_code = Code.USAGE
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class NoMoment(OmsError):
    """The text is neither a position of the log nor a time."""

    code = "no_moment"
    exit_code = Code.USAGE
    status = HTTPStatus.UNPROCESSABLE_ENTITY


def at_in(text: str) -> At:
    """Return the position or the time in a text; a time without an offset is in UTC.

    Raise NoMoment if it is neither.
    """
    if POSITION.fullmatch(text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise NoMoment(
            f"{text!r} is no moment; write it as 2026-01-05T12:00Z, or a position of the log as a number"
        ) from None


def position_of(connection: Connection, at: At | None) -> int:
    """Return the last position that counts; without a time, the newest.

    Raise StillToCome for a time or position ahead.
    """
    end = end_of_log(connection)
    if at is None:
        return end
    if isinstance(at, int):
        if at > end:
            raise StillToCome(f"the log ends at position {end}; {at} is still to come")
        return at
    if at > datetime.now(UTC):
        raise StillToCome(f"{at:%Y-%m-%dT%H:%M:%S%z} is still to come; leave the moment out for the current state")
    return _last_by(connection, at, _searched(connection, at, end))


def moment_of(connection: Connection, at: At) -> datetime:
    """Return a time; for a position, the one at which its event was recorded."""
    if isinstance(at, datetime):
        return at
    row = connection.execute(LAST.encode(), [at]).fetchone()
    return _recorded_at(row) if row else datetime.now(UTC)


def _searched(connection: Connection, at: datetime, end: int) -> int:
    """Return a position by binary search, as if times rose with positions; they do, except where clocks differ."""
    by_then, later = 0, end
    while by_then < later:
        middle = (by_then + later) // 2
        row = connection.execute(NEXT.encode(), [middle, 1]).fetchone()
        if row is None or _recorded_at(row) > at:
            later = middle
        else:
            by_then = int(row["notification_id"])
    return by_then


def _last_by(connection: Connection, at: datetime, position: int) -> int:
    for row in connection.execute(NEXT.encode(), [position, LOOKED_AT_MAX]):
        if _recorded_at(row) <= at:
            position = row["notification_id"]
    return position


def _recorded_at(row: Mapping[str, Any]) -> datetime:
    _, envelope = opened(whole(bytes(row["state"])))
    return datetime.fromisoformat(envelope["recorded_at"])
