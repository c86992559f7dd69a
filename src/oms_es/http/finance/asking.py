"""Requests of finance that may take longer than a request: 200 with the answer, or 202 with the progress.

Invariant: a repeated request joins the job that runs already; nothing is begun twice. A job has an id, by which its
caller reads its answer, or the error that it ended with.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

from starlette.responses import Response

from oms_es.errors import NotFound
from oms_es.http.background import KEPT_SECONDS, Job, Progress
from oms_es.http.requests import Asked
from oms_es.http.routing import Route

WAIT_SECONDS = 10.0
"""How long a request waits for the answer; after that the client asks again."""
RETRY_SECONDS = 1
OF_NO_CHANNEL = "accounts are of no channel"
RUNNING: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "state": {"const": "running"},
        "job": {"type": "string", "description": "Its id: GET /v1/finance/jobs/{job} is answered what it came to."},
        "done": {"type": "integer"},
        "total": {"type": "integer", "description": "0 as long as it is not known."},
    },
    "required": ["state", "job", "done", "total"],
}
LATER = "It is under way: GET its Location, or ask for the same again, and what it came to is the answer."
READ = "finance:read"
JOBS = "/v1/finance/jobs"


class Answer(NamedTuple):
    shown: Mapping[str, Any]
    position: int | None


async def answered(
    asked: Asked, key: Hashable, do: Callable[[Progress], Any], shown: Callable[[Any], Mapping[str, Any]]
) -> Response:
    """Answer with the result of the job for this key, or 202 while it runs. Raise Busy, and whatever the job raises."""

    def work(progress: Progress) -> Answer:
        result = do(progress)
        return Answer(shown(result), getattr(result, "position", None))

    caller = asked.caller.actor
    return await _said(asked, asked.services.background.job((asked.route.name, caller, key), caller, work))


async def _said(asked: Asked, job: Job) -> Response:
    if not await asked.services.background.ended(job, WAIT_SECONDS):
        headers = {"Retry-After": str(RETRY_SECONDS), "Location": f"{JOBS}/{job.id}"}
        return asked.json(job.running(), 202, headers)
    answer: Answer = job.result.result()
    return asked.json(answer.shown, 200, {"Oms-Position": str(answer.position)} if answer.position else None)


async def look(asked: Asked) -> Response:
    """Answer with the state of a job by its id. Raise NotFound, and whatever the job raised."""
    asked.caller.require_all_channels(OF_NO_CHANNEL)
    job = asked.services.background.find(asked.values["job"], asked.caller.actor)
    if job is None:
        kept = f"an answer is kept for {KEPT_SECONDS:.0f} s after its end"
        raise NotFound(f"no job of yours has this id; {kept}: send the request again")
    return await _said(asked, job)


def either(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"anyOf": [answer, RUNNING]}


ROUTES = (
    Route(
        "GET",
        f"{JOBS}/{{job}}",
        "show-finance-job",
        "The result of a request that was answered 202: its answer, or its error.",
        READ,
        look,
        answers={200: "It came to this.", 202: LATER, 404: "There is none, or it ended more than a minute ago."},
        tag="finance",
        path_schemas={"job": {"type": "string", "pattern": "^[0-9a-f]{32}$"}},
    ),
)
