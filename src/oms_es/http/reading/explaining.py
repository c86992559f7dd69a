"""The events that made a row of a read model, each with what it changed and its cause.

Rows about a person are explained on the command line only: a person who may read events need not be one who may see
personal data.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from oms_es.app import PROJECTIONS
from oms_es.history import tracing
from oms_es.history.moments import position_of
from oms_es.http.access import EVENTS
from oms_es.http.errors import NoResource
from oms_es.http.reading.dated import AT, FOLDED_MAX, folding
from oms_es.http.reading.families import family_of
from oms_es.http.reading.tables import LIMIT, OF_PEOPLE, asked_for, keys_of, kind_of, page_of, page_schema, path_of
from oms_es.http.requests import Asked
from oms_es.http.routing import Parameter, Route
from oms_es.kernel import Projection
from oms_es.reports.queries import Connection

POSITION_MAX = 10**17
AFTER_POSITION = Parameter("after", "Begin after this position.", {"type": "integer", "minimum": 0})


async def explained(projection: Projection, asked: Asked) -> Response:
    """Answer with the events that made a row. Raise NoResource, Forbidden, StillToCome or NoStateNear."""
    asked.caller.require_all_channels("events are of every channel")
    key = keys_of(projection.table, asked)
    at, after, limit = asked.at(), asked.number("after", 0, POSITION_MAX), asked.limit()

    def read(connection: Connection) -> list[dict[str, Any]]:
        position = position_of(connection, at)
        with folding():
            found = tracing.steps(
                connection, projection, tuple(key.values()), position, FOLDED_MAX, after=after, limit=limit + 1
            )
        causes = tracing.causes(connection, found)
        return [step.as_json(causes) for step in found]

    steps = await run_in_threadpool(asked.services.read, read)
    if not steps and not after:
        raise NoResource("no event made such a row")
    return page_of(asked, steps[:limit], str(steps[limit - 1]["position"]) if len(steps) > limit else None)


def routes() -> Iterator[Route]:
    for projection in PROJECTIONS:
        table = projection.table
        if table.name not in OF_PEOPLE and all(kind_of(column) for column in table.primary_key.columns):
            keys = "/".join(f"{{{column.name}}}" for column in table.primary_key.columns)
            yield Route(
                "GET",
                f"{path_of(table)}/{keys}/events",
                f"explain-{table.name.replace('_', '-')}",
                f"The events that made a row of {table.name}, in order, with what each changed and follows from.",
                EVENTS,
                partial(explained, projection),
                (AT, LIMIT, AFTER_POSITION),
                answers={200: "They are these.", 404: "No event made such a row."},
                answer=page_schema({"type": "object"}),
                tag=family_of(projection),
                reads=(table.name,),
                path_schemas={column.name: asked_for(column) for column in table.primary_key.columns},
            )
