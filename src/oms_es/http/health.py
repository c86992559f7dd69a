"""Routes for supervisors and monitoring: alive, ready, metrics; and the meaning of each problem's reason."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from oms_es.app import PROJECTIONS
from oms_es.errors import OmsError
from oms_es.http.problems import meaning_of
from oms_es.http.requests import Asked
from oms_es.http.routing import Route
from oms_es.store import schema
from oms_es.store.store import OUTAGES

TEXT = "text/plain; charset=utf-8"


async def live(_: Asked) -> Response:
    return Response("ok\n", media_type=TEXT)


async def ready(asked: Asked) -> Response:
    problems = await run_in_threadpool(lambda: list(_problems(asked)))
    return Response("\n".join(problems or ["ok"]) + "\n", 503 if problems else 200, media_type=TEXT)


async def metrics(_: Asked) -> Response:
    return Response(await run_in_threadpool(generate_latest), media_type=CONTENT_TYPE_LATEST)


async def meaning(asked: Asked) -> Response:
    return asked.json(meaning_of(asked.values["reason"]))


def _problems(asked: Asked) -> Iterator[str]:
    """Yield each reason why this process is not ready.

    Anyone may read them without a key; therefore no message of the database is repeated.
    """
    try:
        asked.services.read(lambda connection: schema.require(connection, PROJECTIONS))
    except OUTAGES:
        yield "the database does not answer"
    except OmsError as error:
        yield error.code
    yield from asked.services.not_ready()


ROUTES = (
    Route("GET", "/livez", "livez", "Whether this process is alive.", None, live, tag="health", media="text/plain"),
    Route(
        "GET",
        "/readyz",
        "readyz",
        "Whether this process can serve; each line says why not.",
        None,
        ready,
        answers={200: "It can.", 503: "It cannot, and why."},
        tag="health",
        media="text/plain",
    ),
    Route(
        "GET",
        "/metrics",
        "metrics",
        "Metrics of this process, for Prometheus.",
        "operations:read",
        metrics,
        tag="health",
        media="text/plain",
    ),
    Route(
        "GET",
        "/v1/problems/{reason}",
        "problem",
        "What a problem's reason means, and what to do next.",
        None,
        meaning,
        tag="health",
    ),
)
