"""The odd days of a report's drawn measure within a period, for each series of the report's dimensions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from oms_es.reports.figures import answering, asking
from oms_es.reports.figures.answering import Answer, Cell
from oms_es.reports.figures.asking import Period
from oms_es.reports.figures.definition import GRAINS, Definition
from oms_es.reports.figures.words import BadReport
from oms_es.reports.odd.judging import WEEKS, Day, Odd, judge
from oms_es.reports.queries import Connection

DAYS_MAX = 92
DAY = "day"


class Found(NamedTuple):
    """An odd day of a report. `of` has the values of the series' dimensions, such as the currency, by name."""

    report: str
    measure: str
    unit: str
    of: Mapping[str, Cell]
    odd: Odd

    def as_json(self) -> dict[str, Any]:
        return {"report": self.report, "measure": self.measure, "unit": self.unit, "of": self.of, **self.odd._asdict()}


def period(since: str | None, until: str | None, zone: str, now: datetime | None = None) -> Period:
    """Return the period in whole days; by default the last seven. Raise BadReport if it is too long, or not over."""
    asking.require_zone(zone)
    today = (now or datetime.now(UTC)).astimezone(ZoneInfo(zone)).date()
    last = min(asking.day(until), today) if until else today
    first = asking.day(since) if since else last - timedelta(days=7)
    if not 0 < (last - first).days <= DAYS_MAX:
        raise BadReport(f"name from one to {DAYS_MAX} days that are over, with --from and --to; today is not over")
    return Period(first, last)


def odd_days(
    connection: Connection, definition: Definition, when: Period, by: Sequence[str] = (), zone: str = "UTC"
) -> list[Found]:
    """Return the odd days, the farthest off first. Raise BadReport or TooLarge."""
    if set(by) & set(GRAINS):
        raise BadReport("it is by day already; name other dimensions")
    assert when.since
    oldest = when.since - timedelta(weeks=WEEKS)
    everything = definition.model_copy(update={"top": None, "sort": None, "target": ()})
    asked = asking.question(everything, since=str(oldest), until=str(when.until), by=[DAY, *by], zone=zone)
    found = list(_found(answering.answer(connection, asked), when))
    return sorted(found, key=lambda one: (-abs(one.odd.times), one.odd.day, str(one.of)))


def _found(answer: Answer, when: Period) -> Iterator[Found]:
    definition = answer.question.definition
    unit = definition.units[definition.drawn]
    for of, days in _series(answer).items():
        names = [word for word in answer.question.by if word != DAY]
        for n in range(_length(when)):
            if odd := judge(days, _first(when) + timedelta(days=n)):
                yield Found(definition.name, definition.drawn, unit, dict(zip(names, of, strict=True)), odd)


def _series(answer: Answer) -> Mapping[tuple[Cell, ...], Mapping[date, Day]]:
    """Return the series. Sums are 0 on a day without rows; for other measures nothing is known of such a day."""
    definition = answer.question.definition
    names = [column.name for column in answer.columns]
    one = next(one for one in definition.measure if one.name == definition.drawn)
    place, day = names.index(one.name), names.index(DAY)
    kept = [n for n, word in enumerate(answer.question.by) if word != DAY]
    is_count = one.how == "sum" and definition.units[one.name] not in ("minor", "hours")
    per = names.index(one.per) if one.per and definition.units[one.name] == "percent" else None
    found: dict[tuple[Cell, ...], dict[date, Day]] = defaultdict(dict)
    for row in answer.rows:
        value, at = row[place], row[day]
        if isinstance(value, int | float) and isinstance(at, date):
            of = row[per] if per is not None else 0
            assert isinstance(of, int | float)
            found[tuple(row[n] for n in kept)][at] = Day(value, of, is_count)
    if one.how == "sum":
        for days in found.values():
            _fill(days, answer.question.period, Day(0, is_count=is_count))
    return found


def _fill(days: dict[date, Day], when: Period, nothing: Day) -> None:
    assert when.until
    at = min(days)
    while at < when.until:
        days.setdefault(at, nothing)
        at += timedelta(days=1)


def _first(when: Period) -> date:
    assert when.since
    return when.since


def _length(when: Period) -> int:
    assert when.until
    return (when.until - _first(when)).days
