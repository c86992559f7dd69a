"""Reports for people: period and dimensions, a chart, the table, and both as files.

Invariant: each report has the scope of its route in the API, and a key of some channels counts what belongs to those.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup, escape
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from oms_es.console.inside import at
from oms_es.console.routes import page
from oms_es.console.visits import Visit
from oms_es.http.errors import QuestionTooLarge
from oms_es.http.reading.figures import of_channels
from oms_es.http.turns import turn
from oms_es.reports.delivering.formats import MAKERS, MEDIA_TYPES
from oms_es.reports.figures import answering, asking, writing
from oms_es.reports.figures.answering import Answer
from oms_es.reports.figures.asking import COMPARISONS
from oms_es.reports.figures.chart import Picture, pictures
from oms_es.reports.figures.definition import GRAINS, Definition, built_in
from oms_es.reports.figures.words import BadReport, TooLarge
from oms_es.schemas.operations.report import Format

READ = "orders:read"
PARAMETERS = ("from", "to", "by", "timezone", "compare", "where")
ROWS_SHOWN_MAX = 500
"""Rows that the page shows; the files hold all of them."""
LAID_OUT: frozenset[Format] = frozenset({"xlsx", "pdf"})
"""Formats that take a core for longer: one file at a time is made, since all readers share the cores."""
LAYING_OUT = threading.BoundedSemaphore(1)
FILES: Sequence[Format] = ("csv", "html", "xlsx", "pdf")
MADE = "reports:read"
MADE_SHOWN = 60
"""Files of scheduled reports that are listed."""


async def listed(visit: Visit) -> Response:
    """Show the reports, and the newest files that were made by schedules, of one report if one is named."""
    items = (await visit.api.get("/v1/reports"))["items"]
    named = visit.one("report") or None
    return visit.page("reports.html", reports=items, files=await _made(visit, named), named=named)


async def _made(visit: Visit, named: str | None) -> Sequence[Any] | None:
    """Return files of scheduled reports, the newest first; None if the person may not see them."""
    if visit.asked.caller.channels is not None or not visit.api.may(MADE):
        return None
    asked = {"report": named, "position[gte]": "0", "descending": "true", "limit": str(MADE_SHOWN)}
    found: Sequence[Any] = (await visit.api.get("/v1/report-files", asked))["items"]
    return found


async def save(visit: Visit) -> Response:
    return await visit.api.whole(at("v1", "report-files", visit.values["file"]))


async def one(definition: Definition, visit: Visit) -> Response:
    """Show a report; an error in its parameters is shown above them, and they stay filled in."""
    wrong, answer = "", None
    try:
        answer = await _answer(definition, visit)
    except (BadReport, TooLarge, QuestionTooLarge) as error:
        wrong = str(error)
    given = [(name, value) for name in PARAMETERS for value in visit.asked.many(name)]
    return visit.page(
        "report.html",
        200 if answer else 422,
        definition=definition,
        dimensions=definition.facts.words,
        grains=GRAINS,
        comparisons=COMPARISONS,
        by=_by(definition, visit),
        wrong=wrong,
        table=_table(answer) if answer else None,
        drawn=[(picture.caption, _inline(picture), picture.left_out) for picture in pictures(answer)] if answer else [],
        given={name: visit.one(name) or "" for name in PARAMETERS if name != "by"},
        files={name: f"{at('console', 'reports', definition.name)}.{name}?{urlencode(given)}" for name in FILES},
    )


def _by(definition: Definition, visit: Visit) -> list[str]:
    """Return the dimensions: those of the report if the parameter is missing, none if it is empty."""
    given = visit.asked.many("by")
    return [word for word in given if word] if given else list(definition.by)


async def _answer(definition: Definition, visit: Visit) -> Answer:
    """Return the report's figures. Raise BadReport, TooLarge, QuestionTooLarge or Forbidden."""
    question = asking.question(
        definition,
        since=visit.one("from"),
        until=visit.one("to"),
        by=_by(definition, visit),
        zone=visit.one("timezone") or "UTC",
        compare=visit.one("compare"),
        where=visit.many("where"),
    )
    allowed = of_channels(question, visit.asked.caller)
    return await visit.asked.read(lambda connection: answering.answer(connection, allowed))


def _table(answer: Answer) -> dict[str, Any]:
    heads = [(writing.title_of(column), bool(column.unit)) for column in answer.columns]
    rows = [writing.shown(row, answer.columns) for row in answer.rows[:ROWS_SHOWN_MAX]]
    return {"heads": heads, "rows": rows, "left_out": max(len(answer.rows) - ROWS_SHOWN_MAX, 0)}


def _inline(picture: Picture) -> Markup:
    """Return the chart as SVG for a page: with a label, and without styles, which the page's content policy forbids."""
    named = f'role="img" aria-label="{escape(picture.caption)}"'
    svg = picture.svg.replace('style="stroke:', 'stroke="').replace('role="img"', named, 1)
    return Markup(svg)  # noqa: S704 - made by the chart, which escapes the names in it


async def taken_along(definition: Definition, file: Format, visit: Visit) -> Response:
    """Send the report as a file. Raise BadReport, TooLarge, QuestionTooLarge, Forbidden or Busy."""
    answer = await _answer(definition, visit)
    headers = {"Content-Disposition": f'attachment; filename="{definition.name}.{file}"'}
    text = await run_in_threadpool(made, file, answer)
    return Response(text, headers=headers, media_type=MEDIA_TYPES[file])


def made(file: Format, answer: Answer) -> str | bytes:
    """Return the file's content. Raise Busy if another large file is being made."""
    if file not in LAID_OUT:
        return MAKERS[file](answer)
    with turn(LAYING_OUT, "another file is being made"):
        return MAKERS[file](answer)


def routes() -> Iterator[Any]:
    yield page("/reports", "reports", READ, listed, "report")
    yield page("/report-files/{file}", "report-file", MADE, save)
    for definition in built_in().values():
        name, scope = definition.name, f"{definition.facts.family}:read"
        many = ("by", "where")
        yield page(f"/reports/{name}", f"report-{name}", scope, partial(one, definition), *PARAMETERS, many=many)
        for file in FILES:
            handler = partial(taken_along, definition, file)
            yield page(f"/reports/{name}.{file}", f"report-{name}-{file}", scope, handler, *PARAMETERS, many=many)
