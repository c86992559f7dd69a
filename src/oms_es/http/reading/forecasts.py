"""Forecasts over HTTP: what will be wanted of a SKU, from the facts as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from oms_es.http.reading.figures import DAY, ZONE_LENGTH_MAX
from oms_es.http.requests import Asked
from oms_es.http.routing import Parameter, Route
from oms_es.reports.figures.words import BadReport
from oms_es.reports.forecasting import asking
from oms_es.reports.forecasting.answering import answers
from oms_es.reports.forecasting.demand import FACTS


async def forecast(asked: Asked) -> Response:
    """Raises BadReport, Forbidden: what is out of stock is of every channel."""
    asked.caller.require_all_channels("a forecast is of every channel")
    horizon = asked.one("horizon")
    if horizon is not None and not horizon.isdecimal():
        raise BadReport(f"a horizon is a number of periods, not {horizon[:20]!r}")
    question = asking.question(
        (asked.values["sku"],),
        location=asked.one("location"),
        by="day" if asked.one("by") == "day" else "week",
        horizon=None if horizon is None else int(horizon),
        zone=asked.one("timezone") or "UTC",
        since=asked.one("from"),
    )
    found = await asked.read(lambda connection: answers(connection, question))
    return asked.json(found[0].as_json())


COUNT: dict[str, Any] = {"type": "integer"}
NUMBER: dict[str, Any] = {"anyOf": [{"type": "number"}, {"type": "null"}]}
SAID: dict[str, Any] = {
    "type": "object",
    "properties": {"expected": {"type": "number"}, "low": COUNT, "middle": COUNT, "high": COUNT},
}
ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "sku": {"type": "string"},
        "location": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "not_enough": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "periods": {"type": "array", "items": SAID},
        "total": {"anyOf": [SAID, {"type": "null"}]},
        "errors": {"anyOf": [{"type": "object", "properties": {"mase": NUMBER, "bias": NUMBER}}, {"type": "null"}]},
        "weights": {"type": "object", "additionalProperties": {"type": "number"}},
    },
    "required": ["sku", "location", "not_enough", "periods", "total", "errors", "weights"],
}


def routes() -> Iterator[Route]:
    yield Route(
        "GET",
        "/v1/forecasts/{sku}",
        "forecast-demand",
        "What will be wanted of a SKU: expected units, the counts that a tenth, a half and nine tenths of cases do not "
        "exceed, and how wrong that was in the past. `not_enough` says why where nothing can be said.",
        "stock:read",
        forecast,
        (
            Parameter(
                "by", "How long a period is; a week unless it is said.", {"type": "string", "enum": ["day", "week"]}
            ),
            Parameter("horizon", "How many periods.", {"type": "integer", "minimum": 1, "maximum": 90}),
            Parameter(
                "location",
                "What leaves there, instead of all that is ordered.",
                {"type": "string", "maxLength": asking.TEXT_LENGTH_MAX},
            ),
            Parameter(
                "timezone",
                "Where days begin; UTC if nothing is said.",
                {"type": "string", "maxLength": ZONE_LENGTH_MAX},
            ),
            Parameter("from", "As if it were that day; the current period otherwise.", DAY),
        ),
        answer=ANSWER,
        answers={200: "It is this.", 422: "The question has words that a forecast does not have."},
        tag="reports",
        reads=FACTS,
    )
