"""That a topic is missing is found without making it, reported by the relay that publishes, and taken back by whichever
publishes next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest
from kafka import KafkaAdminClient  # type: ignore[import-untyped] # the library has no types
from kafka.cluster import ClusterMetadata  # type: ignore[import-untyped] # the same
from kafka.errors import KafkaConnectionError  # type: ignore[import-untyped] # the same

from conftest import PARTITIONS
from integration.contract.test_kafka_input import turn_until
from oms_es.app import migrate
from oms_es.app.workers import Workers, topics
from oms_es.kafka.client import Config, KafkaUnavailable, Producer, TopicPartition, create_topics, no_topic
from oms_es.kafka.groups.membership import Group
from oms_es.kafka.groups.shared_reader import SharedReader
from oms_es.kafka.relay import checkpoint_publisher
from oms_es.schemas.topics import EVENT_TOPICS, LOG_CHECKPOINTS
from oms_es.store import stops

STOCK = EVENT_TOPICS["stock"]


@pytest.fixture
def url(database_url: str) -> str:
    migrate(database_url)
    return database_url


@pytest.fixture
def asking(kafka: Config) -> Iterator[Producer]:
    producer = Producer(kafka)
    yield producer
    producer.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Sequence[tuple[frozenset[str], bool]]:
    """Every question for topics: for which ones, and whether brokers may make them."""
    found: list[tuple[frozenset[str], bool]] = []
    request_of = ClusterMetadata.metadata_request

    def request(cluster: ClusterMetadata) -> Any:
        made = request_of(cluster)
        found.append((frozenset(topic.name for topic in made.topics or ()), made.allow_auto_topic_creation))
        return made

    monkeypatch.setattr(ClusterMetadata, "metadata_request", request)
    return found


@pytest.fixture
def _no_checkpoints(kafka: Config) -> None:
    admin = KafkaAdminClient(**kafka)
    try:
        admin.delete_topics([LOG_CHECKPOINTS])
        while LOG_CHECKPOINTS in admin.list_topics():
            pass
    finally:
        admin.close()


def make(kafka: Config) -> None:
    assert create_topics(kafka, [one for one in topics(PARTITIONS) if one.name == LOG_CHECKPOINTS], replicas=1)


def noted(url: str) -> str:
    """Return what a person reads in another process."""
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as connection:
        return stops.current(connection).get(checkpoint_publisher.NAME, "")


def ready(workers: Workers) -> str:
    return " ".join(workers.health().ready())


def lose_leadership(url: str, workers: Workers) -> None:
    """As when its connection breaks: another relay may take the lock before it notices."""
    assert workers.relay
    session = workers.relay.leadership.session
    assert session
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", [session.info.backend_pid])


@pytest.mark.usefixtures("_no_checkpoints")
def test_what_was_missing_before_a_restart_is_not_reported_after_it(url: str, kafka: Config) -> None:
    with Workers(url, kafka, [], relaying=True) as workers:
        turn_until(workers, lambda: noted(url) == no_topic(LOG_CHECKPOINTS))
    make(kafka)
    assert noted(url)
    with Workers(url, kafka, [], relaying=True) as workers:
        turn_until(workers, lambda: not noted(url))
        assert not ready(workers)


@pytest.mark.usefixtures("_no_checkpoints")
def test_a_relay_that_stands_by_reports_nothing_and_checks_as_soon_as_it_publishes_again(
    url: str, kafka: Config
) -> None:
    with Workers(url, kafka, [], relaying=True) as first:
        turn_until(first, lambda: no_topic(LOG_CHECKPOINTS) in ready(first))
        with Workers(url, kafka, [], relaying=True) as second:
            lose_leadership(url, first)
            turn_until(second, lambda: no_topic(LOG_CHECKPOINTS) in ready(second))
            turn_until(first, lambda: first.relay and not first.relay.active)
            assert not ready(first)
        make(kafka)
        assert noted(url)
        first.submit("test", [])
        turn_until(first, lambda: first.relay and first.relay.active)
        assert not noted(url)
        assert not ready(first)


def test_no_topic_is_made_by_asking_for_it(
    asking: Producer, kafka: Config, asked: Sequence[tuple[frozenset[str], bool]]
) -> None:
    """Brokers may make what is asked for, as they do unless they are set up otherwise: the request forbids it."""
    assert asking.missing([STOCK, "oms.not-there"]) == ["oms.not-there"]
    asking.held(STOCK)
    group, shared = Group(kafka, "stock_levels", [STOCK, "oms.nor-this"]), SharedReader(kafka)
    try:
        shared.begin("stock_levels", TopicPartition("oms.nor-that", 0), 0)
        wanted = {"oms.not-there", "oms.nor-this", "oms.nor-that"}
        while not group.joined or not wanted <= {topic for names, _ in asked for topic in names}:
            group.poll()
            shared.poll()
    finally:
        group.close()
        shared.close()
    assert not [names for names, may_make in asked if names and may_make]


def test_one_topic_that_is_not_there_is_missing(asking: Producer) -> None:
    assert asking.missing(["oms.not-there"]) == ["oms.not-there"]


def test_a_question_that_failed_says_nothing_of_what_is_missing(
    asking: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not asking.missing([STOCK])
    cluster = asking._opened()._metadata
    monkeypatch.setattr(cluster, "update_metadata", lambda _: cluster.failed_update(KafkaConnectionError("cut off")))
    with pytest.raises(KafkaUnavailable, match="cut off"):
        asking.missing(["oms.not-there"])
