"""The forecasts that answer a question, in order, each with the series that it is made of."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, NamedTuple

from psycopg.errors import InvalidParameterValue

from oms_es.reports.figures.words import BadReport
from oms_es.reports.forecasting.asking import Question
from oms_es.reports.forecasting.demand import Series, series
from oms_es.reports.forecasting.forecast import Forecast, forecast
from oms_es.reports.queries import Connection


class Answer(NamedTuple):
    question: Question
    series: Series
    forecast: Forecast

    @property
    def days(self) -> list[date]:
        """The first days of the periods that are forecast."""
        step = timedelta(days=self.question.grain.days)
        return [self.question.begins + n * step for n in range(len(self.forecast.periods))]

    def as_json(self) -> dict[str, Any]:
        asked, said = self.question, self.forecast
        return {
            "sku": self.series.sku,
            "location": self.series.location or None,
            "by": asked.by,
            "timezone": asked.zone,
            "at": asked.now,
            "history": {
                "from": self.series.begins,
                "periods": len(self.series.sold),
                "units": sum(self.series.sold),
                "out_of_stock": sum(self.series.out),
            },
            "not_enough": said.not_enough or None,
            "periods": [{"from": day, **one._asdict()} for day, one in zip(self.days, said.periods, strict=True)],
            "total": said.total and said.total._asdict(),
            "errors": said.errors and said.errors._asdict(),
            "weights": said.weights,
        }


def answers(connection: Connection, question: Question) -> list[Answer]:
    """Return the forecasts.

    A named SKU that was never sold gets an answer without a forecast. Raise BadReport for an unknown time zone.
    """
    try:
        found = {one.sku: one for one in series(connection, question)}
    except InvalidParameterValue:
        raise BadReport(f"the database does not know the time zone {question.zone}; name a city's, or UTC") from None
    names = question.skus or tuple(found)
    nothing = Series("", question.location, question.begins, (), ())
    return [_answer(question, found.get(sku, nothing._replace(sku=sku))) for sku in names]


def _answer(question: Question, one: Series) -> Answer:
    grain = question.grain
    said = forecast(
        one.sold,
        one.out,
        question.horizon,
        season=grain.season,
        periods_min=grain.periods_min,
        unit=question.by,
    )
    return Answer(question, one, said)
