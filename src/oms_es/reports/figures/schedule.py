"""When a report is due: after each day, week or month, for that period. Pure: the time is an argument."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from oms_es.patterns import EMAIL
from oms_es.schemas.operations.report import Every, Format

RECEIVERS_MAX = 20
Address = Annotated[str, StringConstraints(max_length=254, pattern=rf"^{EMAIL}$")]
"""An e-mail address, without a name."""
TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class Schedule(BaseModel):
    """A schedule.

    `at` is the time of day, in `timezone`, from which the period before is due: every day, on Mondays, or on the first
    of a month. Events that arrive until then are included. `mail_to`: who is sent the files, where the engine runs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    every: Every
    at: TimeOfDay = "06:00"
    timezone: Annotated[str, Field(max_length=64)] = "UTC"
    formats: Annotated[tuple[Format, ...], Field(min_length=1, max_length=6)] = ("html",)
    mail_to: Annotated[tuple[Address, ...], Field(max_length=RECEIVERS_MAX)] = ()

    @field_validator("timezone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (OSError, ValueError, ZoneInfoNotFoundError):
            raise ValueError("there is no such time zone; name a city's, such as Europe/Berlin, or UTC") from None
        return zone

    def due(self, now: datetime) -> Iterator[tuple[date, date]]:
        """Yield the due periods, the newest first and without end, each with its first day and the day after its
        last.
        """
        zone = ZoneInfo(self.timezone)
        until = first_of(self.every, now.astimezone(zone).date())
        if now < datetime.combine(until, time.fromisoformat(self.at), zone):
            until = first_of(self.every, until - timedelta(days=1))
        while until > date.min + timedelta(days=31):
            since = first_of(self.every, until - timedelta(days=1))
            yield since, until
            until = since


def first_of(every: Every, day: date) -> date:
    """Return the first day of the period that contains the day."""
    match every:
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
    return day
