"""kill -9 of the engine at any moment: nothing is lost, nothing is doubled, and every row equals history."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from conftest import reachable_directory
from oms_es.app import DECIDERS, PROJECTIONS
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.demo.workload import Workload
from oms_es.schemas.order import PlaceOrder
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec
from oms_es.verification.verify import verify
from system.faults.nursery import REFRESH_SECONDS, Child, Nursery

KILLS = int(os.environ.get("OMS_TEST_KILLS", "20"))
CHOSEN = os.environ.get("OMS_TEST_FAULTS", "")
ORDERS = 400
SEED = 11
ALIVE_SECONDS_MAX = 1.5
SETTLED_SECONDS_MAX = 900
ONCE = "SELECT operation, subject, part FROM simulated_effects GROUP BY 1, 2, 3 HAVING count(*) > 1"
PHASES = "SELECT phase, count(*) AS orders FROM order_status GROUP BY phase"


@pytest.mark.timeout(3_600)
@pytest.mark.skipif(bool(CHOSEN) and "engine" not in CHOSEN, reason="other faults are asked for")
def test_p16_the_engine_killed_at_seeded_moments_loses_and_doubles_nothing() -> None:
    chance = random.Random(SEED)
    with reachable_directory() as directory:
        home = directory / "home"
        with EmbeddedPostgres(home).open(exclusive=False) as server, Nursery(directory) as nursery:
            for _ in range(KILLS):
                kill_after(nursery, home, chance.uniform(0, ALIVE_SECONDS_MAX))
                check = verify(server.url, DECIDERS, PROJECTIONS, Codec(EVENTS))
                assert check.passed, [c for c in check.checks if c.failed]
            survivor = start(nursery, home)
            assert survivor.wait(SETTLED_SECONDS_MAX) == 0
            assert said(nursery).read_text().split() == ["open", "settled"]
            everything_happened_once(server.url)


def said(nursery: Nursery) -> Path:
    return nursery.directory / "engine.said"


def start(nursery: Nursery, home: Path) -> Child:
    said(nursery).unlink(missing_ok=True)
    return nursery.start("engine", [str(home), str(SEED), str(ORDERS)], said(nursery), nursery.directory / "engine.log")


def kill_after(nursery: Nursery, home: Path, seconds: float) -> None:
    """The time counts from when the engine is open, so that every kill interrupts work."""
    engine = start(nursery, home)
    while not (said(nursery).exists() and said(nursery).read_text()):
        assert engine.poll() is None, (nursery.directory / "engine.log").read_text()
        time.sleep(REFRESH_SECONDS)
    with suppress(subprocess.TimeoutExpired):
        engine.wait(seconds)
    engine.send_signal(signal.SIGKILL)
    engine.wait(SETTLED_SECONDS_MAX)


def everything_happened_once(url: str) -> None:
    placed = {c.order_id for batch in Workload(SEED, ORDERS).steps(500) for c in batch if isinstance(c, PlaceOrder)}
    report = verify(url, DECIDERS, PROJECTIONS, Codec(EVENTS))
    assert report.passed, [check for check in report.checks if check.failed]
    with psycopg.connect(url, row_factory=dict_row) as connection:
        assert {row["order_id"] for row in connection.execute("SELECT order_id FROM order_status")} == placed
        assert connection.execute(ONCE).fetchall() == []
        phases = {row["phase"] for row in connection.execute(PHASES)}
        assert phases <= {"completed", "cancelled", "backordered"}
        assert connection.execute("SELECT * FROM oms_dead_letters").fetchall() == []
