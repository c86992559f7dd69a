"""What takes longer than a request, as finance asks for it: 200 with the answer, or 202 and how far it is.

Invariant: a caller who asks again for the same is given the answer of what is under way; nothing is begun twice.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from starlette.responses import Response

from oms_es.http.background import Progress
from oms_es.http.requests import Asked

WAIT_SECONDS = 10.0
"""For which an answer is waited for; after that it is asked for again."""
RETRY_SECONDS = 1
OF_NO_CHANNEL = "accounts are of no channel"
RUNNING: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "state": {"const": "running"},
        "done": {"type": "integer"},
        "total": {"type": "integer", "description": "0 as long as it is not known."},
    },
    "required": ["state", "done", "total"],
}
LATER = "It is under way: ask for the same again, and what it came to is the answer."


async def answered(
    asked: Asked, key: Hashable, do: Callable[[Progress], Any], shown: Callable[[Any], Mapping[str, Any]]
) -> Response:
    """Raises what the work raises, Busy."""
    job = await asked.services.background.answer((asked.route.name, asked.caller.actor, key), do, WAIT_SECONDS)
    if not job.result.done():
        return asked.json(job.running(), 202, {"Retry-After": str(RETRY_SECONDS)})
    result = job.result.result()
    position = getattr(result, "position", None)
    return asked.json(shown(result), 200, {"Oms-Position": str(position)} if position else None)


def either(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"anyOf": [answer, RUNNING]}
