"""A question to a report: its period, time zone, dimensions, filters and comparison."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from functools import cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from pydantic import ValidationError

from oms_es.reports.figures.definition import (
    GRAINS,
    Definition,
    Filter,
    needs_currency,
    require_dimensions,
    require_filter,
)
from oms_es.reports.figures.words import BadReport, require, shown
from oms_es.schemas.problems import problems

Comparison = Literal["previous", "last-year"]
COMPARISONS: tuple[Comparison, ...] = ("previous", "last-year")
YEARS = range(1970, 9_999)
FILTER_CHARACTERS_MAX = 1_000


class Period(NamedTuple):
    """Days in the time zone of the report. `since` is included, `until` is not; None means no bound."""

    since: date | None
    until: date | None


class Question(NamedTuple):
    """A question. `by` has the dimensions, including the currency if there is money."""

    definition: Definition
    by: tuple[str, ...]
    period: Period
    zone: str
    now: datetime
    compare: Comparison | None = None
    filters: tuple[Filter, ...] = ()

    @property
    def grain(self) -> str | None:
        return next((word for word in self.by if word in GRAINS), None)

    @property
    def words(self) -> frozenset[str]:
        """The dimensions that it groups or filters by."""
        return frozenset((*self.by, *(one.dimension for one in self.filters)))

    @property
    def tables(self) -> tuple[str, ...]:
        """The read models that its answer is made of."""
        return self.definition.facts.tables_for(self.words)

    @property
    def before(self) -> Question:
        """The same question for the period of comparison."""
        assert self.compare
        return self._replace(period=compared(self.period, self.compare), compare=None)


def question(
    definition: Definition,
    *,
    since: str | None = None,
    until: str | None = None,
    by: Sequence[str] | None = None,
    zone: str = "UTC",
    compare: str | None = None,
    where: Sequence[str] = (),
    now: datetime | None = None,
) -> Question:
    """Return the question. Omitted parts are those of the definition. Raise BadReport if a part is not valid."""
    dimensions = tuple(definition.by if by is None else by)
    require_dimensions(definition, dimensions)
    require_zone(zone)
    period = Period(*(day(text) if text else None for text in (since, until)))
    if period.since and period.until and period.since >= period.until:
        raise BadReport(f"{since} is not before {until}; the period ends without its last day")
    if compare is not None:
        require(compare, COMPARISONS, "comparison")
        if not (period.since and period.until):
            raise BadReport("a comparison needs a period: give --from and --to")
    filters = (*definition.filter, *wanted(definition, where))
    known: Comparison | None = next((one for one in COMPARISONS if one == compare), None)
    asked = now or datetime.now(UTC)
    return Question(definition, needs_currency(definition, dimensions), period, zone, asked, known, filters)


@cache
def _zones() -> frozenset[str]:
    """Return the known time zones; cached, as they are read from the disk."""
    return frozenset(available_timezones())


def require_zone(zone: str) -> None:
    """Raise BadReport if the time zone does not exist.

    The message names a similar one, as a list of all would fill a page.
    """
    known = _zones()
    if zone not in known:
        alike = get_close_matches(zone, known, n=1)
        raise BadReport(f"there is no time zone {shown(zone)}, did you mean {(alike or ['Europe/Berlin'])[0]}?")


def wanted(definition: Definition, where: Sequence[str]) -> Iterator[Filter]:
    """Yield the filters in texts such as `channel=web`; a value with commas stands for several.

    Raise BadReport if one is not valid.
    """
    for text in where:
        word, equals, values = text.partition("=")
        if not equals or not values or len(text) > FILTER_CHARACTERS_MAX or "\0" in text:
            raise BadReport(f"{shown(text)} is no filter; write it as channel=web, or channel=web,shop")
        names = word.removesuffix("!")
        fields = {"dimension": names, "is_not" if word.endswith("!") else "is": tuple(values.split(","))}
        require(names, definition.facts.words, f"dimension of {definition.source}")
        try:
            one = Filter.model_validate(fields)
        except ValidationError as error:
            raise BadReport(f"{shown(text)} is no filter: {problems(error)}") from None
        require_filter(definition, one)
        yield one


def day(text: str) -> date:
    """Return the day in a text. Raise BadReport if it is none."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise BadReport(f"{shown(text)} is no day; write it as 2026-01-05") from None
    if found.year not in YEARS:
        raise BadReport(f"{shown(text)} is no day of a year from {YEARS[0]} to {YEARS[-1]}")
    return found


def moments(period: Period, zone: str) -> tuple[datetime | None, datetime | None]:
    """Return the times at which the period begins and ends in the time zone."""
    since, until = (
        None if one is None else datetime.combine(one, time(), ZoneInfo(zone)).astimezone(UTC) for one in period
    )
    return since, until


def compared(period: Period, how: Comparison) -> Period:
    """Return the period of comparison. Raise BadReport if there is none."""
    assert period.since
    assert period.until
    try:
        if how == "previous":
            return Period(period.since - (period.until - period.since), period.since)
        return Period(_a_year_before(period.since), _a_year_before(period.until))
    except (OverflowError, ValueError):
        raise BadReport(f"there is nothing before {period.since} to compare it with") from None


def _a_year_before(one: date) -> date:
    """Return the same day a year earlier; for the 29th of February the 28th."""
    there = date(one.year - 1, one.month, 1)
    return there.replace(day=28 if (one.month, one.day) == (2, 29) else one.day)


def steps(grain: str, since: date, at: datetime | date) -> int:
    """Return how many hours, days, weeks, months, quarters or years a bucket begins after that of the first day."""
    here = at if isinstance(at, datetime) else datetime.combine(at, time())
    first = datetime.combine(since, time())
    months = (here.year - first.year) * 12 + here.month - first.month
    match grain:
        case "hour":
            return int((here - first) / timedelta(hours=1))
        case "day":
            return (here - first).days
        case "week":
            return (here - (first - timedelta(days=first.weekday()))).days // 7
        case "month":
            return months
        case "quarter":
            return (here.year - first.year) * 4 + (here.month - 1) // 3 - (first.month - 1) // 3
    return here.year - first.year
