"""Read your own writes: wait until the read models that an answer shows have reached the caller's position."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from oms_es.app import PROJECTIONS
from oms_es.http.errors import Malformed, NotYet
from oms_es.http.requests import NUMBER, Asked
from oms_es.kafka.groups.watermark import Progress
from oms_es.reports.queries import Connection
from oms_es.reports.streams import end_of_log
from oms_es.store.recorder import EVENTS

HEADER = "Oms-Min-Position"
WAIT_SECONDS_MAX = 2.0
REFRESH_SECONDS = 0.05
LOOKED_AT_MAX = 2_000
INTERESTS: Mapping[str, Sequence[str]] = {
    projection.name: sorted(event.__name__ for event in projection.folds) for projection in PROJECTIONS
}


async def wait_for(asked: Asked) -> None:
    """Wait for the position that the request names. Raise NotYet after the time limit, Malformed for a bad header."""
    text = asked.header(HEADER)
    if text is None or not asked.route.reads:
        return
    if not NUMBER.fullmatch(text):
        raise Malformed(f"{HEADER} is a position, as Oms-Position has it")
    position, reads = int(text), asked.route.reads
    loop = asyncio.get_running_loop()
    until = loop.time() + WAIT_SECONDS_MAX
    while not await asked.read(lambda connection: has_come(connection, reads, position)):
        if loop.time() > until:
            raise NotYet(await asked.read(lambda connection: _why_not(connection, position)))
        await asyncio.sleep(REFRESH_SECONDS)


def _why_not(connection: Connection, position: int) -> str:
    if position > (end := end_of_log(connection)):
        return f"the log ends at position {end}, before {position}; is that a position of another database?"
    return f"what is shown here has not come to position {position}; is an engine running?"


def has_come(connection: Connection, reads: Sequence[str], position: int) -> bool:
    """Return whether each read model has processed every event up to the position that concerns it."""
    progress = Progress.stored(connection)
    begin = min(progress.positions.get(name, 0) for name in reads)
    if begin >= position:
        return True
    if position > end_of_log(connection):
        return False
    names = sorted({event for read in reads for event in INTERESTS[read]})
    rows = connection.execute(
        f"SELECT notification_id, originator_id, topic FROM {EVENTS} "
        "WHERE notification_id > %s AND notification_id <= %s AND topic = ANY(%s) "
        "ORDER BY notification_id LIMIT %s".encode(),
        [begin, position, names, LOOKED_AT_MAX],
    ).fetchall()
    return len(rows) < LOOKED_AT_MAX and all(
        progress.has_taken(read, row["originator_id"], row["notification_id"])
        for row in rows
        for read in reads
        if row["topic"] in INTERESTS[read]
    )
