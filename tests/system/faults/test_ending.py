"""SIGTERM ends a worker within its grace, also while its brokers take connections and answer nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from conftest import PARTITIONS, broker
from oms_es.app import migrate
from oms_es.app.workers import topics
from oms_es.kafka.client import connection, create_topics
from oms_es.kafka.dev_broker import free_port
from oms_es.processing.ending import GRACE_SECONDS, close_together, ending_within

STARTED_SECONDS_MAX = 120
SLACK_SECONDS = 5


def ready(port: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as reported:
        return bool(reported.status == 200)
    return False


def test_all_roles_end_within_the_grace_although_no_broker_answers(database_url: str) -> None:
    migrate(database_url)
    with broker() as running:
        create_topics(connection(running.address), topics(PARTITIONS), replicas=1)
        port = free_port()
        settings = {"DATABASE_URL": database_url, "KAFKA": running.address, "METRICS_PORT": str(port)}
        environment = {**os.environ, **{f"OMS_{name}": value for name, value in settings.items()}}
        worker = subprocess.Popen(
            [Path(sys.executable).with_name("oms-es"), "worker", "all"],
            env={**environment, "OMS_GATEWAYS": "simulated"},
            stderr=subprocess.DEVNULL,
        )
        assert running._server
        try:
            deadline = time.monotonic() + STARTED_SECONDS_MAX
            while not ready(port):
                assert worker.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
            running._server.send_signal(signal.SIGSTOP)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(GRACE_SECONDS + SLACK_SECONDS) == 0
        finally:
            running._server.send_signal(signal.SIGCONT)
            worker.kill()
            worker.wait()


def test_clients_are_closed_in_the_time_of_one() -> None:
    never = threading.Event()
    began = time.monotonic()
    assert close_together([lambda: None, never.wait, never.wait], seconds=0.2) == 2  # type: ignore[list-item] # what it gives is nobody's business
    assert time.monotonic() - began < 1.0


def test_what_ends_in_time_is_not_cut_short() -> None:
    stopping, cut = threading.Event(), list[int]()
    with ending_within(stopping, 0.05, cut.append):
        stopping.set()
    time.sleep(0.2)
    assert not cut
    with ending_within(stopping, 0.05, cut.append):
        time.sleep(0.3)
    assert cut == [0]
