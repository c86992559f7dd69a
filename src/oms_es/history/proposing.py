"""Proposals of reorder points for a location, from forecasts and lead times.

Nothing is changed: a person approves each proposal. A proposal for a SKU rests on the SKU's own history, and on lead
times that were learnt from the log or stated by the caller.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from oms_es.history import lead_times
from oms_es.reports.forecasting import asking
from oms_es.reports.forecasting.answering import Answer, answers
from oms_es.reports.forecasting.replenishing import CLASS_SHARES, Proposal, classes, learnt, proposal
from oms_es.reports.queries import Connection
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec

SERVICE = "98,95,90"
COVER_WEEKS = 4.0
COVER_WEEKS_MAX = 52
LEAD_DAYS_MIN, LEAD_DAYS_MAX = 0.1, 365


class Asked(NamedTuple):
    """A request for proposals.

    `percents` has by class the percentage of lead times without a shortage. `since` calculates as of that day.
    """

    location: str
    percents: Mapping[str, float]
    skus: tuple[str, ...] = ()
    lead_days: float | None = None
    cover_weeks: float = COVER_WEEKS
    since: str | None = None


class Proposed(NamedTuple):
    """The proposals. `answers` has the forecasts of all SKUs, including those without a proposal."""

    proposals: Sequence[Proposal]
    answers: Sequence[Answer]

    @property
    def too_short(self) -> list[Answer]:
        return [one for one in self.answers if one.forecast.not_enough]

    @property
    def without_lead_time(self) -> int:
        return len(self.answers) - len(self.too_short) - len(self.proposals)


def percents_of(text: str) -> dict[str, float] | None:
    """Return the percentages in a text such as "98,95,90", by class; None if it does not name three."""
    try:
        each = [float(one) for one in text.split(",")]
    except ValueError:
        return None
    if len(each) != len(CLASS_SHARES) or not all(0 < one < 100 for one in each):  # noqa: PLR2004 - percent
        return None
    return dict(zip(CLASS_SHARES, each, strict=True))


def proposed(connection: Connection, asked: Asked) -> Proposed:
    """Return the proposals. Raise BadReport if the request is not valid."""
    question = asking.question(asked.skus, location=asked.location, since=asked.since, top=asking.SKUS_MAX)
    found = answers(connection, question)
    days = lead_times.days_at(connection, Codec(EVENTS).over(connection), asked.location, question.now)
    return Proposed(list(_proposals(found, days, asked, _as_set(connection, asked.location))), found)


def _proposals(
    found: Sequence[Answer], days: Mapping[str, Sequence[float]], asked: Asked, now: Mapping[str, int]
) -> Iterator[Proposal]:
    of_location = [one for each in days.values() for one in each]
    abc = classes({one.series.sku: one.forecast.total.expected for one in found if one.forecast.total})
    for one in found:
        name = one.series.sku
        lead = learnt(days.get(name, ()), of_location, asked.lead_days)
        if name in abc and lead is not None:
            yield proposal(
                name,
                one.series.location,
                one.forecast,
                lead,
                abc=abc[name],
                service_percent=asked.percents[abc[name]],
                cover_weeks=asked.cover_weeks,
                now=now.get(name, 0),
            )


def _as_set(connection: Connection, location: str) -> dict[str, int]:
    rows = connection.execute("SELECT sku, reorder_point FROM stock_levels WHERE location = %s", [location])
    return {row["sku"]: row["reorder_point"] for row in rows}
