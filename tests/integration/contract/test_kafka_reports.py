"""The role `reporting` by way of Kafka: it waits for the facts that workers fold, and makes each report once."""

from __future__ import annotations

import time
from pathlib import Path

from oms_es.app import migrate
from oms_es.app.reporting.scheduled import Places
from oms_es.app.workers import Workers
from oms_es.demo.workload import Workload
from oms_es.kafka.client import Config
from oms_es.reports.figures import definition
from people import rows_of

SECONDS_MAX = 120.0
FACTS = ("order_milestones", "order_lines", "refunds", "return_lines")
SCHEDULE = 'schedule = { every = "day", at = "00:00", formats = ["csv"] }'


def test_a_scheduled_report_is_made_once_by_workers_on_kafka(database_url: str, kafka: Config, tmp_path: Path) -> None:
    migrate(database_url)
    (tmp_path / "sales.toml").write_text(f"{definition.text_of('sales')}\n{SCHEDULE}\n")
    (tmp_path / "files").mkdir()
    places = Places(definitions=tmp_path, folder=tmp_path / "files")
    roles = ["reporting", "report_files", *FACTS]
    with (
        Workers(database_url, kafka, roles, relaying=True, report_places=places) as first,
        Workers(database_url, kafka, ["reporting"], report_places=places) as second,
    ):
        first.submit("test", list(Workload(7, 10).commands()))
        until = time.monotonic() + SECONDS_MAX
        while not any(row["folder_at"] for row in rows_of(database_url, "report_files")):
            assert time.monotonic() < until
            for workers in (first, second):
                workers.loop.iterate()
            first.waiter.wait(0.05)
        events = [row.topic for row in first.recorder.stream("report-sales")]
    assert events == ["ReportReady", "ReportDelivered"]
    assert [path.suffix for path in (tmp_path / "files").iterdir()] == [".csv"]
