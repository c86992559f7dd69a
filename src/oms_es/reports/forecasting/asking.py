"""A question for a forecast: which SKUs, where, by day or week, how far ahead, and as of when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from oms_es.reports.figures.asking import day, require_zone
from oms_es.reports.figures.words import BadReport

By = Literal["day", "week"]
SKUS_MAX = 1_000
SHOWN_MAX = 100
TEXT_LENGTH_MAX = 200
FIRST_YEARS = range(1980, 9_990)
"""All days that are read or forecast are within the years that a date can have."""


class Grain(NamedTuple):
    """A grain: the `days` of a period, the periods of a season, the least and most periods that are read, and the
    default and largest number of periods that are forecast.
    """

    days: int
    season: int
    periods_min: int
    periods_max: int
    horizon: int
    horizon_max: int


GRAINS: dict[By, Grain] = {"day": Grain(1, 7, 28, 730, 14, 90), "week": Grain(7, 52, 8, 260, 13, 52)}


class Question(NamedTuple):
    """A question.

    Without `skus` the `top` SKUs by demand are meant. `location` limits it to units that leave there; empty for all
    orders. `first` is a day of the first forecast period.
    """

    skus: tuple[str, ...]
    location: str
    by: By
    horizon: int
    zone: str
    now: datetime
    first: date
    top: int

    @property
    def grain(self) -> Grain:
        return GRAINS[self.by]

    @property
    def begins(self) -> date:
        """The first day of the forecast; only what is before it is read."""
        return self.first if self.by == "day" else self.first - timedelta(days=self.first.weekday())

    @property
    def oldest(self) -> date:
        return self.begins - timedelta(days=self.grain.days * self.grain.periods_max)

    def moment(self, day: date) -> datetime:
        """Return the time at which the day begins in the time zone."""
        return datetime.combine(day, time(), ZoneInfo(self.zone)).astimezone(UTC)


def question(
    skus: Sequence[str] = (),
    *,
    location: str | None = None,
    by: By = "week",
    horizon: int | None = None,
    zone: str = "UTC",
    since: str | None = None,
    now: datetime | None = None,
    top: int = SHOWN_MAX,
) -> Question:
    """Return the question.

    `since` forecasts as of that day; by default the current period is the first. Raise BadReport if a part is not
    valid.
    """
    grain = GRAINS[by]
    require_zone(zone)
    for text in (*skus, location or ""):
        if "\0" in text or len(text) > TEXT_LENGTH_MAX:
            raise BadReport(f"{text[:20]!r}… cannot be the name of a SKU or a location")
    if len(skus) > SKUS_MAX:
        raise BadReport(f"ask of {SKUS_MAX} SKUs at most; there are {len(skus)}")
    if not 1 <= (ahead := grain.horizon if horizon is None else horizon) <= grain.horizon_max:
        raise BadReport(f"a horizon is from 1 to {grain.horizon_max} {by}s, not {ahead}")
    asked = now or datetime.now(UTC)
    first = day(since) if since else asked.astimezone(ZoneInfo(zone)).date()
    if first.year not in FIRST_YEARS:
        raise BadReport(
            f"no forecast can begin on {first}; name a day in the years {FIRST_YEARS[0]} to {FIRST_YEARS[-1]}"
        )
    return Question(tuple(dict.fromkeys(skus)), location or "", by, ahead, zone, asked, first, top)
