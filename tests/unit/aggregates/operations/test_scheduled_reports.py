"""A report is made once for each period, and put once where it is to be put."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from dsl import Given
from oms_es.aggregates.operations.report import decider
from oms_es.schemas.operations.report import (
    RecordReportDelivery,
    RecordReportFiles,
    ReportDelivered,
    ReportFile,
    ReportReady,
)

MONDAY: Any = {"name": "mine", "every": "day", "first_day": "2026-01-05"}
MADE: Any = {
    **MONDAY,
    "title": "Mine",
    "last_day": "2026-01-05",
    "timezone": "UTC",
    "made_at": datetime(2026, 1, 6, 6, tzinfo=UTC),
    "files": (ReportFile(format="csv", sha256="a" * 64, byte_count=7),),
    "deliver_to": ("folder", "mail"),
}
OTHER: Any = {**MADE, "files": (ReportFile(format="csv", sha256="b" * 64, byte_count=8),), "deliver_to": ()}
READY = ReportReady(**MADE)


def test_a_report_is_made_once_for_a_period_whatever_another_process_made_of_it() -> None:
    Given(decider).when(RecordReportFiles(**MADE)).then(READY)
    Given(decider, READY).when(RecordReportFiles(**MADE)).then()
    Given(decider, READY).when(RecordReportFiles(**OTHER)).then()


def test_a_report_has_one_file_in_each_format() -> None:
    """What is in a file's row says which one it is of by its format."""
    with pytest.raises(ValidationError, match="name each format once"):
        RecordReportFiles(**{**MADE, "files": (*MADE["files"], *OTHER["files"])})


def test_another_period_is_another_report() -> None:
    for other in ({"first_day": "2026-01-06"}, {"every": "week"}):
        Given(decider, READY).when(RecordReportFiles(**{**MADE, **other})).then(ReportReady(**{**MADE, **other}))


def test_its_files_are_put_once_into_each_place() -> None:
    to_folder, to_mail = (ReportDelivered(**MONDAY, to=to) for to in ("folder", "mail"))
    Given(decider, READY).when(RecordReportDelivery(**MONDAY, to="folder")).then(to_folder)
    Given(decider, READY, to_folder).when(RecordReportDelivery(**MONDAY, to="folder")).then()
    Given(decider, READY, to_folder).when(RecordReportDelivery(**MONDAY, to="mail")).then(to_mail)
    Given(decider, READY, to_folder, to_mail).when(RecordReportDelivery(**MONDAY, to="mail")).then()


def test_nothing_is_put_where_it_was_not_to_be_put() -> None:
    Given(decider, ReportReady(**OTHER)).when(RecordReportDelivery(**MONDAY, to="folder")).then()


def test_what_was_not_made_cannot_have_been_put_anywhere() -> None:
    Given(decider).when(RecordReportDelivery(**MONDAY, to="folder")).then_refused("report_not_made")
    other = {**MONDAY, "every": "week"}
    Given(decider, READY).when(RecordReportDelivery(**other, to="folder")).then_refused("report_not_made")
