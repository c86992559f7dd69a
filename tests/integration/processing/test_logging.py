"""One structured line per thing that happened, on stderr."""

from __future__ import annotations

import json
from typing import Literal

import pytest
import structlog

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


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_traceback_has_neither_local_variables_nor_rows(
    style: Literal["json", "console"], capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(style, "debug")
    log = structlog.get_logger(__name__)

    def fails() -> None:
        key = "a-key-of-" + "somebody"
        raise ValueError(f"{len(key)} is wrong\nDETAIL:  Failing row contains (Main {'Street'} 1).")

    try:
        fails()
    except ValueError:
        log.exception("not served")
    written = capsys.readouterr().err
    assert "ValueError" in written
    assert "fails" in written
    assert "17 is wrong" in written
    assert "a-key-of-somebody" not in written
    assert "Main Street" not in written
