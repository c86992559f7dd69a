"""The parameter `at`: what it means on every route that shows past states of read models, and one row of
such a state."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from starlette.concurrency import run_in_threadpool

from oms_es.app import PROJECTIONS
from oms_es.history import rows_then
from oms_es.history.moments import position_of
from oms_es.http.access import Caller
from oms_es.http.requests import Asked
from oms_es.http.routing import Parameter
from oms_es.http.turns import turn
from oms_es.reports.queries import Connection, Row
from oms_es.reports.streams import At

AT = Parameter(
    "at",
    "The state as of a moment, or of a position of the log.",
    {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "pattern": "^[0-9]{1,18}$"}]},
)
FOLDED_MAX = 100_000
"""Events that are folded at most for an answer, after the nearest kept state, while a person waits."""
FOLDING_MAX = 2
"""Requests that fold much of history at once: each holds a connection and a core."""
_FOLDING = threading.BoundedSemaphore(FOLDING_MAX)
BY_NAME = {projection.name: projection for projection in PROJECTIONS}


def folding() -> AbstractContextManager[None]:
    """Take one of the few turns for folding past rows. Raise Busy if all are taken."""
    return turn(_FOLDING, "rows of the past are being folded")


async def one_then(asked: Asked, at: At, keys: Mapping[str, Any]) -> Row | None:
    """Return one row as it was at `at`, or None. Raise StillToCome or NoStateNear."""
    (name,) = asked.route.reads

    def read(connection: Connection) -> Row | None:
        position = position_of(connection, at)
        with folding():
            row = rows_then.row(connection, BY_NAME[name], tuple(keys.values()), position, FOLDED_MAX)
        return dict(row) if row and _may_see(connection, row, asked.caller) else None

    return await run_in_threadpool(asked.services.read, read)


def _may_see(connection: Connection, row: Mapping[str, Any], caller: Caller) -> bool:
    """Return whether the caller's channels include the row's, by the rule of `visible`. An order's channel never
    changes."""
    if caller.channels is None:
        return True
    if "channel" in row:
        return row["channel"] in caller.channels
    if "order_id" not in row:
        return True
    query = "SELECT channel FROM order_status WHERE order_id = %s"
    order = connection.execute(query, [row["order_id"]]).fetchone()
    return order is not None and order["channel"] in caller.channels
