"""Input on a real Kafka as other programs write it: with their headers, compression codecs and transactions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer as OtherProducer
from kafka import codec  # type: ignore[import-untyped] # the library has no types
from prometheus_client import REGISTRY

from oms_es.app import migrate
from oms_es.app.workers import CHANNEL_ORDERS_ROLE, DEAD_LETTERS, Workers
from oms_es.kafka.client import Config, Message, Outgoing, Producer, TooLarge, TopicPartition
from oms_es.kafka.groups.group_worker import GroupWorker
from oms_es.schemas.topics import CHANNEL_ORDERS
from oms_es.store.dead_letters import DEAD_LETTERS as LETTERS
from oms_es.store.dead_letters import headers_of, listed
from subscriber import READ_SECONDS_MAX, everything_on

TURNS_MAX = 1_500
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
BAD = b'{"channel": "web"}'
BROKER_BYTES_MAX = 1_048_588
"""Of a batch: what a broker takes that nobody reported otherwise."""


@pytest.fixture
def url(database_url: str) -> str:
    migrate(database_url)
    return database_url


def canonical(number: object, **changes: Any) -> bytes:
    order = {
        "channel": "web",
        "external_id": str(number),
        "placed_at": "2026-01-01T00:00:00Z",
        "currency": "EUR",
        "lines": [{"line_id": "1", "sku": "A", "quantity": 1, "unit_price_minor": 100}],
        "ship_to": {"country": "DE"},
    }
    return json.dumps({**order, **changes}).encode()


def producer(kafka: Config, options: Mapping[str, Any]) -> OtherProducer:
    return OtherProducer({"bootstrap.servers": ",".join(kafka["bootstrap_servers"]), **options})


def produce(
    kafka: Config,
    payloads: Sequence[bytes],
    partition: int = 0,
    headers: Any = None,
    options: Any = MappingProxyType({}),
) -> None:
    client = producer(kafka, options)
    for payload in payloads:
        client.produce(CHANNEL_ORDERS, payload, partition=partition, headers=headers)
    assert client.flush(READ_SECONDS_MAX) == 0


@contextmanager
def intake(url: str, kafka: Config, *, relaying: bool = False) -> Iterator[Workers]:
    with Workers(url, kafka, [CHANNEL_ORDERS_ROLE], relaying=relaying) as workers:
        yield workers


def turn_until(workers: Workers, done: Callable[[], object]) -> None:
    for _ in range(TURNS_MAX):
        workers.loop.iterate()
        if done():
            return
        workers.waiter.wait(0.01)
    raise AssertionError(f"it did not come: {list(workers.health().ready())}")


def group_of(workers: Workers) -> GroupWorker:
    (group,) = [p for p in workers.loop.workers if isinstance(p, GroupWorker)]
    return group


def placed(url: str) -> set[str]:
    query = (
        "SELECT convert_from(state, 'UTF8')::json->'event'->>'external_id' FROM oms_events WHERE topic = 'OrderPlaced'"
    )
    with psycopg.connect(url) as connection:
        return {row[0] for row in connection.execute(query).fetchall()}


def test_headers_of_any_kind_come_with_their_dead_letter(url: str, kafka: Config) -> None:
    headers = [("empty", None), ("twice", b"1"), ("twice", b"2"), ("n\0ul", b"\0"), ("", b""), ("blob", b"\xff\0")]
    publisher = Producer(kafka)  # the other client ends a name at its NUL
    publisher.publish([Outgoing(TopicPartition(CHANNEL_ORDERS, 0), b"k", BAD, headers)])
    publisher.close()
    produce(kafka, [canonical(1)], headers=headers)
    with intake(url, kafka, relaying=True) as workers:
        turn_until(workers, lambda: placed(url) and everything_on(kafka, DEAD_LETTERS))
        with psycopg.connect(url) as connection:
            kept = connection.execute(f"SELECT headers FROM {LETTERS}".encode()).fetchall()
    assert [headers_of(row[0]) for row in kept] == [headers]
    (published,) = everything_on(kafka, DEAD_LETTERS)
    assert list(published.pairs)[: len(headers)] == [(name.split("\0")[0], value) for name, value in headers]
    assert published.value == BAD


def test_a_name_of_a_header_that_is_no_text_stops_no_one(url: str, kafka: Config) -> None:
    class Name(str):
        """A name written as bytes that are not UTF-8."""

        __slots__ = ()

        def encode(self, *_: Any) -> bytes:
            return b"\xff\xfe"

    publisher = Producer(kafka)
    publisher.publish([Outgoing(TopicPartition(CHANNEL_ORDERS, 0), b"k", BAD, [(Name("odd"), b"1")])])
    publisher.close()
    produce(kafka, [canonical(1)])
    with intake(url, kafka) as workers:
        turn_until(workers, lambda: placed(url) == {"1"})
        with psycopg.connect(url) as connection:
            (row,) = connection.execute(f"SELECT headers FROM {LETTERS}".encode()).fetchall()
    assert headers_of(row[0]) == [("\\xff\\xfe", b"1")]


def test_headers_kept_by_an_earlier_release_are_read() -> None:
    assert headers_of({}) == []
    assert headers_of({"trace": "AP8="}) == [("trace", b"\0\xff")]


def test_batches_of_every_codec_are_read_as_another_client_compressed_them(url: str, kafka: Config) -> None:
    """Small batches, and one that is larger than a megabyte before compression."""
    for name in CODECS:
        produce(
            kafka, [canonical(f"{name}-{n}") for n in range(20)], options={"compression.type": name, "linger.ms": 50}
        )
        large = [canonical(f"{name}-large-{n}", payment_token="t" * 60_000) for n in range(3)]
        produce(kafka, large, options={"compression.type": name, "linger.ms": 50})
    huge = [json.dumps({"x": "y" * 900_000}).encode() for _ in range(4)]
    produce(
        kafka,
        huge,
        options={"compression.type": "zstd", "linger.ms": 200, "batch.size": 8_000_000, "message.max.bytes": 8_000_000},
    )
    produce(kafka, [canonical("last")])
    with intake(url, kafka) as workers:
        turn_until(workers, lambda: "last" in placed(url))
        assert not group_of(workers).stopped
    assert {f"{name}-{n}" for name in CODECS for n in range(20)} <= placed(url)


def test_a_codec_that_is_missing_stops_its_partition_and_no_other(
    url: str, kafka: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    produce(kafka, [canonical("before")])
    produce(kafka, [canonical("unread")], options={"compression.type": "zstd"})
    produce(kafka, [canonical("behind")])
    produce(kafka, [canonical("beside")], partition=1)
    monkeypatch.setattr(codec, "zstd", None)
    with intake(url, kafka) as workers:
        turn_until(workers, lambda: group_of(workers).stopped and len(placed(url)) == 2)
        assert placed(url) == {"before", "beside"}
        (said,) = map(str, group_of(workers).stopped.values())
        assert f"{CHANNEL_ORDERS}/0 cannot be read at offset 1" in said
        assert "zstd" in said
        assert any("at offset 1" in problem for problem in workers.health().ready())
        produce(kafka, [canonical("later")], partition=1)
        turn_until(workers, lambda: "later" in placed(url))
    monkeypatch.undo()
    with intake(url, kafka) as workers:
        turn_until(workers, lambda: {"unread", "behind"} <= placed(url))


def test_what_a_transaction_took_back_is_not_taken_and_nothing_is_left_behind(url: str, kafka: Config) -> None:
    client = producer(kafka, {"transactional.id": "shop"})
    client.init_transactions(READ_SECONDS_MAX)
    for number, outcome in enumerate((client.commit_transaction, client.abort_transaction, client.commit_transaction)):
        client.begin_transaction()
        client.produce(CHANNEL_ORDERS, canonical(number), partition=0)
        client.flush(READ_SECONDS_MAX)  # so that what is taken back is in the topic
        outcome(READ_SECONDS_MAX)
    with intake(url, kafka) as workers:
        topic_partition = TopicPartition(CHANNEL_ORDERS, 0)

        def at_rest() -> bool:
            return (
                REGISTRY.get_sample_value(
                    "oms_lag_messages", {"role": CHANNEL_ORDERS_ROLE, "place": str(topic_partition)}
                )
                == 0
            )

        turn_until(workers, lambda: placed(url) == {"0", "2"} and at_rest())
        turn_until(workers, lambda: workers.recorder.position(f"{CHANNEL_ORDERS_ROLE}@{topic_partition}") == 6)
    assert placed(url) == {"0", "2"}


def test_a_dead_letter_that_is_too_large_goes_without_its_payload_and_holds_up_no_other(
    url: str, kafka: Config
) -> None:
    """A message of the maximum size no longer fits once the reason is added; headers can fill a message, too."""
    room = BROKER_BYTES_MAX - 200
    publisher = Producer(kafka)
    topic_partition = TopicPartition(CHANNEL_ORDERS, 0)
    publisher.publish([Outgoing(topic_partition, b"", b"small 1", [])])
    publisher.publish([Outgoing(topic_partition, b"", b"x" * room, [])])
    publisher.publish([Outgoing(topic_partition, b"", b"small 2", [("h", b"y" * (room - 100))])])
    publisher.publish([Outgoing(topic_partition, b"", b"small 3", [])])
    publisher.close()
    with intake(url, kafka, relaying=True) as workers:
        turn_until(workers, lambda: len(published_dead_letters(kafka)) == 4)
        with workers.recorder.datastore.cursor() as curs:
            letters = {letter.id: letter for letter in listed(curs)}
        while workers.loop.iterate():
            pass
    reported = published_dead_letters(kafka)
    assert {m.value for m in reported.values()} == {b"small 1", b"small 3", b""}
    without = [message for message in reported.values() if not message.value]
    assert sorted(int(m.headers["oms_payload_bytes"]) for m in without) == [len(b"small 2"), room]
    assert all(len(m.headers["oms_payload_sha256"]) == 64 for m in without)
    assert set(reported) == set(letters)
    assert all(letters[number].reason == message.headers["oms_reason"].decode() for number, message in reported.items())


def published_dead_letters(kafka: Config) -> dict[int, Message]:
    return {int(message.headers["oms_dead_letter"]): message for message in everything_on(kafka, DEAD_LETTERS)}


def test_a_producer_that_was_refused_is_replaced(kafka: Config) -> None:
    """The topic has no size limit of its own, so the broker's applies."""
    publisher, topic_partition = Producer(kafka), TopicPartition(DEAD_LETTERS, 0)
    for number in range(3):
        with pytest.raises(TooLarge):
            publisher.publish([Outgoing(topic_partition, b"", b"x" * (BROKER_BYTES_MAX + 1), [])])
        publisher.publish([Outgoing(topic_partition, b"", b"%d" % number, [])])
    publisher.close()
    assert [message.value for message in everything_on(kafka, DEAD_LETTERS)] == [b"0", b"1", b"2"]
