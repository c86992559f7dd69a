"""What other systems can read from our topics, through another Kafka client, and what must hold for it."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import psycopg
from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as KafkaTopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # it is in their handbook

from conftest import PARTITIONS
from oms_es.app.workers import topics as all_topics
from oms_es.kafka.client import Config, Message, TopicPartition
from oms_es.kafka.cloudevents import position_of
from oms_es.store.recorder import EVENTS

READ_SECONDS_MAX = 30
REFRESH_SECONDS = 0.1
PARTITIONS_OF = {topic.name: topic.partitions for topic in all_topics(PARTITIONS)}
LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call] # the library leaves it out


class Subscriber:
    """A reader that continues where it last stopped."""

    def __init__(self, kafka: Config, topics: Sequence[str]) -> None:
        self.places = [TopicPartition(topic, n) for topic in topics for n in range(PARTITIONS_OF[topic])]
        self.client = Consumer(
            {
                "bootstrap.servers": ",".join(kafka["bootstrap_servers"]),
                "group.id": "reader",
                "enable.auto.commit": False,
                "log_level": 0,  # tests may kill the broker
            }
        )
        self.client.assign([KafkaTopicPartition(*place, 0) for place in self.places])
        self.offsets: dict[TopicPartition, int] = dict.fromkeys(self.places, 0)
        self.asking: dict[str, str | int | float | bool] = {
            "bootstrap.servers": ",".join(kafka["bootstrap_servers"]),
            "log_level": 0,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.client.close()

    def read(self) -> list[Message]:
        """Return all messages that have not been read yet, partition by partition in order."""
        ends = self._ends()
        found: list[Message] = []
        while any(self.offsets[place] < end for place, end in ends.items()):
            message = self.client.poll(READ_SECONDS_MAX)
            assert message is not None, f"nothing came; read to {self.offsets} of {ends}"
            if not message.error():  # errors are about the connection, and pass
                place = TopicPartition(str(message.topic()), int(message.partition() or 0))
                offset, headers = int(message.offset() or 0), dict(message.headers() or [])
                found.append(Message(place, offset, message.key(), message.value(), headers, message.headers() or []))  # type: ignore[arg-type] # str or bytes, as its stubs have it
                self.offsets[place] = offset + 1
        return sorted(found, key=lambda message: (message.topic_partition, message.offset))

    def _ends(self) -> dict[TopicPartition, int]:
        """Return the end of each partition.

        It uses a connection of its own: on the reader's, each request would wait for a fetch to end. A client gives up
        if a broker has been away since it last looked up the leader: then another client asks.
        """
        asked = {KafkaTopicPartition(*place): LATEST for place in self.places}
        deadline = time.monotonic() + READ_SECONDS_MAX
        while True:
            asker = AdminClient(self.asking)  # a client that is no longer referenced never answers
            reported = asker.list_offsets(asked, request_timeout=READ_SECONDS_MAX)
            try:
                return {
                    TopicPartition(at.topic, at.partition): future.result().offset for at, future in reported.items()
                }
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(REFRESH_SECONDS)


def everything_on(kafka: Config, *topics: str) -> list[Message]:
    with Subscriber(kafka, topics) as subscriber:
        return subscriber.read()


class Chain:
    """A checker: without the repeats, every stream is gapless on its topic, and every partition's chain is unbroken."""

    def __init__(self) -> None:
        self.positions: set[int] = set()
        self.repeats = 0
        self._versions: dict[str, int] = defaultdict(int)
        self._ends: dict[TopicPartition, int] = defaultdict(int)

    def follow(self, messages: Sequence[Message]) -> None:
        for message in messages:
            position, previous = position_of(message)
            if position <= self._ends[message.topic_partition]:
                assert position in self.positions, f"{message.topic_partition}: {position} came too late"
                self.repeats += 1
                continue
            end = self._ends[message.topic_partition]
            assert previous == end, f"{message.topic_partition}: {previous} before {position}, not {end}"
            self._ends[message.topic_partition] = position
            stream, version = str(message.key), int(message.headers["ce_streamversion"])
            assert version == self._versions[stream] + 1, f"{stream}: {version} after {self._versions[stream]}"
            self._versions[stream] = version
            self.positions.add(position)


def assert_whole(messages: Sequence[Message]) -> None:
    Chain().follow(messages)


RECORDED_AT = f"SELECT notification_id, convert_from(state, 'UTF8')::json ->> 'recorded_at' FROM {EVENTS}"


def assert_stamped(url: str, states: Sequence[Message]) -> None:
    """Assert that each state names its row and the time of its event, that no id has two contents, and that all times
    are in UTC."""
    with psycopg.connect(url) as connection:
        recorded: dict[int, str] = dict(connection.execute(RECORDED_AT.encode()).fetchall())
    contents: dict[bytes, set[bytes | None]] = defaultdict(set)
    for message in states:
        sequence, time = int(message.headers["ce_sequence"]), message.headers["ce_time"].decode()
        assert message.headers["ce_subject"] == message.key
        assert time == recorded[sequence] if sequence else time in recorded.values()
        contents[message.headers["ce_id"]].add(message.value)
        assert b"+00:00" not in (message.value or b"")
    assert states
    assert all(len(values) == 1 for values in contents.values())


class Table:
    """The rows of a compacted topic: the last value of each key, without the tombstones."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}

    def follow(self, messages: Sequence[Message]) -> None:
        for message in messages:
            assert message.key is not None
            if message.value is None:
                self.rows.pop(message.key.decode(), None)
            else:
                self.rows[message.key.decode()] = json.loads(message.value)


def latest(messages: Sequence[Message]) -> dict[str, Any]:
    table = Table()
    table.follow(messages)
    return table.rows


def rows_as_json(url: str, table: str, key: str) -> dict[str, Any]:
    """Return a table's rows as they should be published: moments in UTC, with a Z."""
    with psycopg.connect(url) as connection:
        rows: dict[str, Any] = dict(
            connection.execute(f"SELECT {key}, to_json(t) FROM {table} AS t".encode()).fetchall()
        )
        moments = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND data_type LIKE 'timestamp%%'",
            [table],
        ).fetchall()
    return {name: {**row, **{at: _with_z(row[at]) for (at,) in moments}} for name, row in rows.items()}


def _with_z(moment: str | None) -> str | None:
    return moment and datetime.fromisoformat(moment).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
