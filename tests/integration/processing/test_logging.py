"""One structured line per thing that happened, on stderr."""

from __future__ import annotations

import json

import pytest

from oms_es.app import engine_on
from oms_es.processing.logging import configure_logging
from oms_es.schemas.catalog.location import OpenLocation


def test_each_recorded_event_is_a_json_line_that_says_what_came_of_what_and_by_whom(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("json", "debug")
    with engine_on(database_url) as engine:
        engine.submit("ann", [OpenLocation(location="berlin", country="DE", latitude=52.5, longitude=13.4)])
    out, err = capsys.readouterr()
    (line,) = [parsed for parsed in map(json.loads, err.splitlines()) if parsed["event"] == "recorded"]
    assert out == ""
    assert (line["fact"], line["stream"], line["consumer"]) == ("LocationOpened", "location-berlin", "ann")
    assert {"event_id", "caused_by", "position", "version", "timestamp", "level"} <= line.keys()


def test_lines_below_the_level_asked_for_are_not_written(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json", "warning")
    with engine_on(database_url) as engine:
        engine.submit("ann", [OpenLocation(location="berlin", country="DE", latitude=52.5, longitude=13.4)])
    assert capsys.readouterr().err == ""
