"""Reports over HTTP: the list of reports, and each report, authorised like the facts that it reads; and the files that
were made of reports by their schedules.

Invariant: a key of some channels counts what belongs to those; a report on facts without a channel is refused to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from oms_es.history.moments import moment_of
from oms_es.http.access import Caller
from oms_es.http.errors import NoResource
from oms_es.http.reading.dated import AT
from oms_es.http.requests import Asked
from oms_es.http.routing import Parameter, Route
from oms_es.http.writing.documents import sent
from oms_es.reports.delivering.delivery import file_name
from oms_es.reports.delivering.formats import MEDIA_TYPES
from oms_es.reports.figures import answering, asking, definition
from oms_es.reports.figures.asking import COMPARISONS, Question
from oms_es.reports.figures.definition import GRAINS, Definition, Filter
from oms_es.reports.queries import Connection, Row
from oms_es.store.documents import table as documents

CHANNEL = "channel"
WORDS_LENGTH_MAX = 200
ZONE_LENGTH_MAX = 64
DAY = {"type": "string", "format": "date", "pattern": r"^(19[7-9]\d|[2-8]\d{3})-\d\d-\d\d$"}


async def reports(asked: Asked) -> Response:
    found = [
        {
            "name": one.name,
            "title": one.title,
            "about": one.about,
            "source": one.source,
            "by": list(one.by),
            "measures": [{"name": n, "unit": unit} for n, unit in one.units.items()],
            "dimensions": [*GRAINS, *one.facts.words],
        }
        for one in definition.built_in().values()
        if f"{one.facts.family}:read" in asked.caller.scopes
    ]
    return asked.json({"items": found})


async def report(one: Definition, asked: Asked) -> Response:
    """Answer with the figures of a report. Raise BadReport, TooLarge or Forbidden."""
    by = asked.one("by")
    question = asking.question(
        one,
        since=asked.one("from"),
        until=asked.one("to"),
        by=None if by is None else [word for word in by.split(",") if word],
        zone=asked.one("timezone") or "UTC",
        compare=asked.one("compare"),
        where=asked.many("where"),
    )
    allowed = of_channels(question, asked.caller)
    at = asked.at()
    if at is not None:
        moment = await run_in_threadpool(asked.services.read, partial(moment_of, at=at))
        allowed = allowed._replace(now=moment)
    found = await asked.read(lambda connection: answering.answer(connection, allowed), allowed.tables)
    return asked.json(found.as_json())


def of_channels(question: Question, caller: Caller) -> Question:
    """Return the question, limited to the caller's channels. Raise Forbidden if its facts have no channel."""
    if caller.channels is None:
        return question
    if CHANNEL not in question.definition.facts.dimensions:
        caller.require_all_channels("this has no channel, and the key is limited to some channels")
    theirs = Filter.model_construct(dimension=CHANNEL, of=tuple(sorted(caller.channels)), others=None)
    return question._replace(filters=(*question.filters, theirs))


async def made(asked: Asked) -> Response:
    """Send a file of a scheduled report as a download. Raise Forbidden, NoResource, NotAsAddressed or
    FolderUnavailable."""
    asked.caller.require_all_channels("a scheduled report is of every channel")
    address = asked.values["sha256"]
    row = await asked.read(partial(_made, address=address))
    if row is None:
        raise NoResource("no report has a file with this SHA-256; GET /v1/report-files lists them")
    kept = await asked.read(partial(documents.look, address=address))
    name = file_name(row["report"], row["every"], row["first_day"], row["format"])
    return await sent(asked, kept, name, MEDIA_TYPES[row["format"]])


def _made(connection: Connection, address: str) -> Row | None:
    query = "SELECT report, every, first_day, format FROM report_files WHERE sha256 = %s ORDER BY position LIMIT 1"
    return connection.execute(query, [address]).fetchone()


ANSWER = {
    "type": "object",
    "properties": {
        "report": {"type": "string"},
        "columns": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "unit": {"type": "string"}},
                "required": ["name", "unit"],
            },
        },
        "rows": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["report", "columns", "rows"],
}
"""`unit` is "minor" for amounts in minor units of the row's `currency`, and empty for a dimension."""
PARAMETERS = (
    AT,
    Parameter("from", "The first day of the period.", DAY),
    Parameter("to", "The day after the last one.", DAY),
    Parameter(
        "by",
        "Dimensions, separated by commas; `GET /v1/reports` lists them.",
        {"type": "string", "pattern": "^[a-z_]+(,[a-z_]+)*$", "maxLength": WORDS_LENGTH_MAX},
    ),
    Parameter(
        "timezone",
        "The time zone of days; without it, UTC.",
        {"type": "string", "pattern": "^[A-Za-z0-9_+/-]+$", "maxLength": ZONE_LENGTH_MAX},
    ),
    Parameter(
        "compare",
        "Compare each measure with that of the period before, or of a year before. It needs `from` and `to`.",
        {"type": "string", "enum": list(COMPARISONS)},
    ),
    Parameter(
        "where",
        "A filter such as `channel=web`, or `country!=DE,AT`.",
        {"type": "string", "pattern": "^[a-z_]+!?=."},
        many=True,
    ),
)


def routes() -> Iterator[Route]:
    names = {
        "type": "object",
        "properties": {"items": {"type": "array", "items": {"type": "object"}}},
        "required": ["items"],
    }
    yield Route(
        "GET",
        "/v1/reports",
        "list-reports",
        "The reports that the caller may read, with their dimensions and measures.",
        "orders:read",
        reports,
        answer=names,
        answers={200: "They are these."},
        tag="reports",
    )
    yield Route(
        "GET",
        "/v1/report-files/{sha256}",
        "download-report-file",
        "A file that was made of a report by its schedule, as a download.",
        "reports:read",
        made,
        answers={200: "All of it; the connection breaks where its bytes turn out to be others.", 404: "There is none."},
        answer={"type": "string"},
        media="*/*",
        tag="reports",
        reads=("report_files",),
        path_schemas={"sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"}},
    )
    for one in definition.built_in().values():
        yield Route(
            "GET",
            f"/v1/reports/{one.name}",
            f"report-{one.name}",
            f"{one.title}. {one.about}",
            f"{one.facts.family}:read",
            partial(report, one),
            PARAMETERS,
            is_dated=True,
            answer=ANSWER,
            answers={200: "It is this.", 422: "The question has words that the report does not have."},
            tag="reports",
            reads=one.facts.tables,
        )
