"""Scheduled reports: which files were made for a period, and where they were put.

These classes are the storage format. An event's name and meaning never change; a new meaning is a new event.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import Field, StringConstraints, field_validator

from oms_es.kernel import Command, Event, Message, SystemCommand
from oms_es.schemas.finance.statement import Day, at_most
from oms_es.schemas.shipment.base import Sha256
from oms_es.schemas.values.types import COUNT_MAX, Moment, PartName, QuotedText

Every: TypeAlias = Literal["day", "week", "month"]
Format: TypeAlias = Literal["csv", "json", "html", "xlsx", "pdf", "parquet"]
Destination: TypeAlias = Literal["folder", "mail"]
FORMATS: tuple[Format, ...] = get_args(Format)
DESTINATIONS: tuple[Destination, ...] = get_args(Destination)
ReportName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,49}$")]


class ReportFile(Message):
    """A file of a report, whose bytes are kept under their SHA-256."""

    format: Format
    sha256: Sha256
    byte_count: Annotated[int, Field(ge=1, le=COUNT_MAX)]


class ReportCommand(Command):
    """`first_day`: the first day of the period that the report is about, in the schedule's time zone."""

    name: ReportName
    every: Every
    first_day: Day

    @property
    def stream(self) -> str:
        return f"report-{self.name}"


class RecordReportFiles(ReportCommand, SystemCommand):
    """Record that a report was made for a period by its schedule. `deliver_to`: where its files are still to be put."""

    title: QuotedText
    last_day: Day
    timezone: PartName
    made_at: Moment
    files: Annotated[tuple[ReportFile, ...], Field(min_length=1), at_most(len(FORMATS))]
    deliver_to: Annotated[tuple[Destination, ...], at_most(len(DESTINATIONS))] = ()

    @field_validator("files")
    @classmethod
    def _each_format_once(cls, files: tuple[ReportFile, ...]) -> tuple[ReportFile, ...]:
        if len({file.format for file in files}) < len(files):
            raise ValueError("name each format once")
        return files


class RecordReportDelivery(ReportCommand, SystemCommand):
    """Record that the files of a report were put where they were to be put."""

    to: Destination


class ReportEvent(Event):
    name: str
    every: Every
    first_day: str


class ReportReady(ReportEvent):
    """A report was made for a period, which `last_day` is the last day of. Its files do not change any more."""

    title: str
    last_day: str
    timezone: str
    made_at: Moment
    files: tuple[ReportFile, ...]
    deliver_to: tuple[Destination, ...] = ()


class ReportDelivered(ReportEvent):
    """All files of a report were put into the folder, or into a message in the folder for mail."""

    to: Destination
