"""Databases for tests: one server per session and kind, one fresh database per test."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import Phase, settings
from kafka import KafkaAdminClient  # type: ignore[import-untyped] # the library has no types
from psycopg.sql import SQL, Identifier
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped] # the library has no types

from oms_es.app import migrate
from oms_es.app.workers import topics
from oms_es.cli.main import main
from oms_es.database.embedded import EmbeddedPostgres
from oms_es.kafka.client import Config, connection, create_topics
from oms_es.kafka.dev_broker import Broker, BrokerUnavailable
from oms_es.processing.logging import configure_logging

pytest_plugins = ["http_server", "console_shop"]
SYSTEM_BINARIES = Path("/usr/lib/postgresql/15/bin")
PARTITIONS = 3
numbers = count(1)

settings.register_profile("patient", deadline=None, print_blob=True)
settings.load_profile("patient")  # a machine that is busy with other things breaks no law
settings.register_profile(
    "few", max_examples=5, derandomize=True, deadline=None, phases=(Phase.explicit, Phase.generate)
)
"""For `make mutants`, which runs every test hundreds of times, wants the same answer each time and no smaller one."""


KAFKA_GROUP = "kafka"
USES_KAFKA = re.compile(r"\bkafka(_address)?: ")
"""A parameter of a test or of its fixtures: the Kafka that all tests share."""
LONG_FIRST = frozenset({"faults", "contract", "simulation", "docs"})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not LONG_FIRST.intersection(item.path.parts))


class FilesTogether(LoadScopeScheduling):  # type: ignore[misc] # as above
    """Distribute tests to several processes: one of them has the Kafka, and a file's tests stay together, as some
    go on where others end. The marks of `--dist=loadgroup` have no effect: pytest 9.2 has another name for what
    pytest-xdist 3.8 writes them to."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.partition("::")[0])


@cache
def group_of(file: str) -> str:
    path = Path(__file__).parents[1] / file
    has_kafka = "faults" in path.parts or USES_KAFKA.search(path.read_text())
    return KAFKA_GROUP if has_kafka else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesTogether:
    return FilesTogether(config, log)


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Name each failure at once: a whole run takes a quarter of an hour, and names failures at its end."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        print(f"\nfailed: {report.nodeid} ({report.when})", flush=True)


@contextmanager
def reachable_directory() -> Iterator[Path]:
    """Return a directory that the server's account may enter: pytest's own are closed to it when the tests run as
    root."""
    directory = Path(tempfile.mkdtemp(prefix="oms-es-test-"))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@contextmanager
def server(binaries: Path | None = None) -> Iterator[EmbeddedPostgres]:
    with (
        reachable_directory() as directory,
        EmbeddedPostgres(directory / "home", binaries).open(exclusive=False) as running,
    ):
        yield running


@contextmanager
def fresh_database(running: EmbeddedPostgres) -> Iterator[str]:
    name = f"test_{next(numbers)}"
    with psycopg.connect(running.url, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    try:
        yield running.url_of(name)
    finally:
        with psycopg.connect(running.url, autocommit=True) as connection:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture(scope="session")
def embedded_server() -> Iterator[EmbeddedPostgres]:
    with server() as running:
        yield running


@pytest.fixture(scope="session")
def system_server() -> Iterator[EmbeddedPostgres]:
    if not (SYSTEM_BINARIES / "postgres").exists():
        pytest.skip(f"there is no PostgreSQL 15 in {SYSTEM_BINARIES}")
    with server(SYSTEM_BINARIES) as running:
        yield running


@pytest.fixture
def database_url(embedded_server: EmbeddedPostgres) -> Iterator[str]:
    with fresh_database(embedded_server) as url:
        yield url


@pytest.fixture
def system_postgres_url(system_server: EmbeddedPostgres) -> Iterator[str]:
    with fresh_database(system_server) as url:
        yield url


@pytest.fixture(params=["embedded", "system-15"])
def any_database_url(request: pytest.FixtureRequest) -> str:
    fixture = {"embedded": "database_url", "system-15": "system_postgres_url"}[request.param]
    url: str = request.getfixturevalue(fixture)
    return url


@pytest.fixture
def oms(database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs a command and returns its exit code, stdout and stderr."""
    migrate(database_url)
    monkeypatch.setenv("OMS_DATABASE_URL", database_url)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        reported = capsys.readouterr()
        return code, reported.out, reported.err

    return run


@contextmanager
def broker(**options: Any) -> Iterator[Broker]:
    """Start a real Kafka for one test. Without Kafka's jars the test is skipped, or fails if the environment requires
    it."""
    with reachable_directory() as directory:
        running = Broker(directory / "kafka", **options)
        try:
            running.start()
        except BrokerUnavailable as unavailable:
            if os.environ.get("OMS_TEST_KAFKA_REQUIRED"):
                pytest.fail(f"NO KAFKA, and OMS_TEST_KAFKA_REQUIRED is set: {unavailable}")
            pytest.skip(f"NO KAFKA, nothing about delivery is tested: {unavailable}")
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture(scope="session")
def kafka_address() -> Iterator[str]:
    """Return the address of a Kafka that all tests share in sequence. OMS_TEST_KAFKA names one whose `oms.` topics may
    be deleted."""
    if named := os.environ.get("OMS_TEST_KAFKA"):
        yield named
        return
    with broker() as running:
        yield running.address


@pytest.fixture
def kafka(kafka_address: str) -> Config:
    """Return how to reach a Kafka with empty topics and no groups."""
    config = connection(kafka_address)
    empty(config)
    create_topics(config, topics(PARTITIONS), replicas=1)
    return config


def empty(config: Config) -> None:
    admin = KafkaAdminClient(**config)
    try:
        stale = [topic for topic in admin.list_topics() if topic.startswith("oms.")]
        if stale:
            admin.delete_topics(stale)
        while any(topic.startswith("oms.") for topic in admin.list_topics()):
            time.sleep(0.05)
        admin.delete_groups([group["group_id"] for group in admin.list_groups()])
    finally:
        admin.close()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Turn logging off: a test that wants log lines turns it on, and fixtures of a whole file begin before the next
    test's own."""
    configure_logging("console", "critical")
    yield
    configure_logging("console", "critical")
