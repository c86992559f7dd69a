"""Report files: one row per file of a report that was made by its schedule, and where it was put."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Index, Table, Text

from oms_es.kernel import Key, Projection, Recorded, Row
from oms_es.projections.base import METADATA
from oms_es.schemas.operations.report import FORMATS, ReportDelivered, ReportReady

table = Table(
    "report_files",
    METADATA,
    Column("report", Text, primary_key=True),
    Column("every", Text, primary_key=True),
    Column("first_day", Text, primary_key=True),
    Column("format", Text, primary_key=True),
    Column("last_day", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("byte_count", BigInteger, nullable=False),
    Column("deliver_to", ARRAY(Text), nullable=False),
    Column("folder_at", DateTime(timezone=True)),
    Column("mail_at", DateTime(timezone=True)),
    Column("position", BigInteger, nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False),
    Index("report_files_by_position", "position"),
    Index("report_files_by_report", "report", "position"),
    Index("report_files_by_sha256", "sha256"),
)
projection = Projection(table, fed_by=("report-{report}",))


def each_of_its_files(event: ReportReady) -> Iterable[Key]:
    return ((event.name, event.every, event.first_day, file.format) for file in event.files)


def each_of_its_formats(event: ReportDelivered) -> Iterable[Key]:
    """The event does not say which formats there are: a row that is not there stays away."""
    return ((event.name, event.every, event.first_day, form) for form in FORMATS)


@projection.on(ReportReady, keys=each_of_its_files)
def on_report_ready(_row: Row | None, event: ReportReady, recorded: Recorded, key: Key) -> Row:
    (file,) = (file for file in event.files if file.format == key[3])
    return {
        "report": event.name,
        "every": event.every,
        "first_day": event.first_day,
        "format": file.format,
        "last_day": event.last_day,
        "timezone": event.timezone,
        "title": event.title,
        "sha256": file.sha256,
        "byte_count": file.byte_count,
        "deliver_to": list(event.deliver_to),
        "folder_at": None,
        "mail_at": None,
        "position": recorded.position,
        "made_at": event.made_at,
    }


@projection.on(ReportDelivered, keys=each_of_its_formats)
def on_report_delivered(row: Row | None, event: ReportDelivered, recorded: Recorded, _key: Key) -> Row | None:
    return row and {**row, f"{event.to}_at": recorded.recorded_at}
