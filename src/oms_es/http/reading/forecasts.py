"""Forecasts over HTTP: the expected demand for a SKU, and proposed orders, computed from the current facts."""

from __future__ import annotations

from collections.abc import Iterator
from math import nan
from typing import Any

from starlette.responses import Response

from oms_es.history import proposing
from oms_es.http.errors import BadParameter
from oms_es.http.reading.figures import DAY, ZONE_LENGTH_MAX
from oms_es.http.requests import Asked
from oms_es.http.routing import Parameter, Route
from oms_es.reports.figures.words import BadReport
from oms_es.reports.forecasting import asking
from oms_es.reports.forecasting.answering import answers
from oms_es.reports.forecasting.demand import FACTS


async def forecast(asked: Asked) -> Response:
    """Answer with the forecast of a SKU. Raise BadReport, or Forbidden for a key of some channels: stock is of every
    channel."""
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


async def propose(asked: Asked) -> Response:
    """Answer with proposed reorder points. Raise BadReport, BadParameter or Forbidden."""
    asked.caller.require_all_channels("a proposal is of every channel")
    percents = proposing.percents_of(asked.one("service") or proposing.SERVICE)
    if percents is None:
        raise BadParameter("service", f"write three percents such as {proposing.SERVICE}")
    lead_days = _days(asked.one("lead_days"))
    wanted = proposing.Asked(
        asked.values["location"], percents, tuple(asked.many("sku")), lead_days, since=asked.one("from")
    )
    found = await asked.read(lambda connection: proposing.proposed(connection, wanted))
    short = [{"sku": one.series.sku, "why": one.forecast.not_enough} for one in found.too_short]
    return asked.json(
        {
            "location": wanted.location,
            "proposals": [one.as_json() for one in found.proposals],
            "not_enough": short,
            "without_lead_time": found.without_lead_time,
        }
    )


def _days(text: str | None) -> float | None:
    """Return the lead time in days, or None. Raise BadParameter if it is out of bounds or not a number."""
    if text is None:
        return None
    try:
        days = float(text)
    except ValueError:
        days = nan
    if not proposing.LEAD_DAYS_MIN <= days <= proposing.LEAD_DAYS_MAX:
        raise BadParameter("lead_days", f"write days from {proposing.LEAD_DAYS_MIN} to {proposing.LEAD_DAYS_MAX}")
    return days


COUNT: dict[str, Any] = {"type": "integer"}
TEXT: dict[str, Any] = {"type": "string"}
AMOUNT: dict[str, Any] = {"type": "number"}
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


LEAD: dict[str, Any] = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("days", "variance"), AMOUNT),
        "times": COUNT,
        "whose": {"enum": ["said", "SKU", "location"]},
    },
}
PROPOSAL: dict[str, Any] = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("sku", "location", "abc", "arithmetic"), TEXT),
        **dict.fromkeys(("service_percent", "per_week", "mean", "of_demand", "of_lead_time"), AMOUNT),
        **dict.fromkeys(("safety_stock", "reorder_point", "up_to", "reorder_point_now"), COUNT),
        "lead": LEAD,
    },
}
PROPOSED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "location": TEXT,
        "proposals": {"type": "array", "items": PROPOSAL},
        "not_enough": {"type": "array", "items": {"type": "object", "properties": {"sku": TEXT, "why": TEXT}}},
        "without_lead_time": COUNT,
    },
    "required": ["location", "proposals", "not_enough", "without_lead_time"],
}


def routes() -> Iterator[Route]:
    yield Route(
        "GET",
        "/v1/forecasts/{sku}",
        "forecast-demand",
        "The expected demand for a SKU: mean units, the counts that a tenth, a half and nine tenths of "
        "cases do not exceed, and the error of such forecasts in the past. `not_enough` says why there is "
        "no forecast.",
        "stock:read",
        forecast,
        (
            Parameter("by", "The length of a period; without it, a week.", {"type": "string", "enum": ["day", "week"]}),
            Parameter("horizon", "Periods to forecast.", {"type": "integer", "minimum": 1, "maximum": 90}),
            Parameter(
                "location",
                "Forecast what is shipped from this location, not what is ordered anywhere.",
                {"type": "string", "maxLength": asking.TEXT_LENGTH_MAX},
            ),
            Parameter(
                "timezone",
                "The time zone of days; without it, UTC.",
                {"type": "string", "maxLength": ZONE_LENGTH_MAX},
            ),
            Parameter("from", "Forecast as if it were that day; without it, from the current period.", DAY),
        ),
        answer=ANSWER,
        answers={200: "It is this.", 422: "The question has words that a forecast does not have."},
        tag="reports",
        reads=FACTS,
    )
    yield Route(
        "GET",
        "/v1/reorder-proposals/{location}",
        "propose-reorder-points",
        "Proposed reorder points for a location, from forecasts and lead times, with their arithmetic. "
        "Nothing is changed: set-reorder-point approves one.",
        "stock:read",
        propose,
        (
            Parameter("sku", "A SKU; may be repeated. Without it, the SKUs that were shipped most.", many=True),
            Parameter(
                "lead_days", "Days of lead time, in place of those measured from past deliveries.", {"type": "number"}
            ),
            Parameter(
                "service",
                "Percent of lead times in which stock must suffice, for the classes A, B and C.",
                {"type": "string", "default": proposing.SERVICE},
            ),
            Parameter("from", "Propose as if it were that day; without it, from this week.", DAY),
        ),
        answer=PROPOSED,
        answers={200: "They are these.", 422: "The question has words that a proposal does not have."},
        tag="reports",
        reads=FACTS,
    )
