"""One client reads for all roles of a process: each is given everything once, in order, and none waits for another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from kafka import codec  # type: ignore[import-untyped] # the library has no types

from conftest import PARTITIONS
from integration.contract.test_kafka_input import producer
from oms_es.kafka.client import Config, TopicPartition
from oms_es.kafka.groups.membership import Group
from oms_es.kafka.groups.reading import Unreadable
from oms_es.kafka.groups.shared_reader import SharedReader, SharingGroup
from oms_es.schemas.topics import EVENT_TOPICS
from subscriber import READ_SECONDS_MAX

TOPIC = EVENT_TOPICS["stock"]
PLACE = TopicPartition(TOPIC, 0)
POLLS_MAX = 3_000
NAMES = ("stock_levels", "stock_allocator")


class Member:
    """A role that takes down what it is given of one partition."""

    def __init__(self, kafka: Config, name: str, reader: SharedReader) -> None:
        self.own = Group(kafka, name, [TOPIC])
        self.group = SharingGroup(self.own, reader)
        self.given: list[int] = []
        self.why: Unreadable | None = None
        self.has: set[TopicPartition] = set()
        self.stray = 0

    def poll(self) -> None:
        found = self.group.poll()
        self.why = self.group.failures().get(PLACE, self.why)
        for assigned, topic_partitions in self.group.changes():
            self.has.update(topic_partitions) if assigned else self.has.difference_update(topic_partitions)
        self.stray += sum(topic_partition not in self.has for topic_partition in found)
        if PLACE in self.has:
            self.given += [int(message.value or b"") for message in found.get(PLACE, ())]

    @property
    def shares(self) -> bool:
        """Whether it is given what another client reads: its own has stayed where it began to share."""
        own, reached = self.own.reached(PLACE), self.group.reached(PLACE)
        return own is not None and reached is not None and own < reached


@contextmanager
def members(kafka: Config, *names: str) -> Iterator[Sequence[Member]]:
    reader = SharedReader(kafka)
    found = [Member(kafka, name, reader) for name in names]
    try:
        yield found
    finally:
        for member in found:
            member.group.close()
        reader.close()


def produce(kafka: Config, numbers: Sequence[int], compression: str = "none", partition: int = PLACE.partition) -> None:
    client = producer(kafka, {"compression.type": compression})
    for number in numbers:
        client.produce(TOPIC, b"%d" % number, partition=partition)
    assert client.flush(READ_SECONDS_MAX) == 0


def poll_until(polled: Sequence[Member], done: Callable[[], bool]) -> None:
    for _ in range(POLLS_MAX):
        for member in polled:
            member.poll()
        if done():
            return
        time.sleep(0.005)
    raise AssertionError(f"it did not come: {[member.given for member in polled]}")


def test_roles_that_have_read_to_the_end_are_read_for_by_one_client(kafka: Config) -> None:
    produce(kafka, range(5))
    with members(kafka, *NAMES) as both:
        poll_until(both, lambda: all(member.given == [*range(5)] for member in both))
        produce(kafka, range(5, 9))
        poll_until(both, lambda: all(member.shares and len(member.given) >= 9 for member in both))
        assert [member.given for member in both] == [[*range(9)]] * 2
        assert [member.own.reached(PLACE) for member in both] == [5, 5]
        assert [member.group.behind(PLACE) for member in both] == [0, 0]


def test_a_role_that_comes_later_reads_by_itself_until_it_is_level_and_holds_up_no_other(kafka: Config) -> None:
    produce(kafka, range(5_000))
    with members(kafka, *NAMES) as (first, second):
        poll_until([first], lambda: bool(first.given))
        assert len(first.given) < 5_000
        assert first.group.reader.position(PLACE) is None
        poll_until([first], lambda: len(first.given) == 5_000)
        produce(kafka, range(5_000, 5_010))
        poll_until([first], lambda: first.shares)
        while not second.given:
            second.poll()
        assert not second.shares
        produce(kafka, range(5_010, 5_020))
        poll_until([first], lambda: len(first.given) == 5_020)
        poll_until([first, second], lambda: second.given[-1] == 5_019)
        produce(kafka, range(5_020, 5_030))
        poll_until([first, second], lambda: first.given[-1] == second.given[-1] == 5_029 and second.shares)
        assert first.given == [*range(5_030)]
        assert list(dict.fromkeys(second.given)) == [*range(5_030)]  # a few may be repeated where it joins the others


def test_a_role_that_is_full_is_read_for_no_more_and_goes_on_where_it_was(kafka: Config) -> None:
    with members(kafka, *NAMES) as (first, second):
        produce(kafka, [0])
        poll_until([first, second], lambda: first.given == second.given == [0])
        produce(kafka, [1])
        poll_until([first, second], lambda: first.shares and second.shares)
        first.group.pause([PLACE])
        produce(kafka, range(2, 6))
        poll_until([first, second], lambda: second.given == [*range(6)])
        assert first.given == [0, 1]
        first.group.resume([PLACE])
        poll_until([first, second], lambda: first.given == [*range(6)])
        produce(kafka, [6])
        poll_until([first, second], lambda: first.given == second.given == [*range(7)] and first.shares)


def test_a_partition_that_cannot_be_read_is_reported_to_each_role(
    kafka: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    with members(kafka, *NAMES) as both:
        produce(kafka, [0])
        poll_until(both, lambda: all(member.given == [0] for member in both))
        produce(kafka, [1])
        poll_until(both, lambda: all(member.shares for member in both))
        monkeypatch.setattr(codec, "zstd", None)
        produce(kafka, range(2, 200), compression="zstd")  # fewer would not be compressed
        poll_until(both, lambda: all(member.why for member in both))
        assert [member.given for member in both] == [[0, 1]] * 2
        assert all(f"{PLACE} cannot be read at offset 2" in str(member.why) for member in both)


def test_what_another_member_has_now_is_not_read_on(kafka: Config) -> None:
    with members(kafka, *NAMES) as (first, second), members(kafka, NAMES[0]) as (other,):
        produce(kafka, [0])
        poll_until([first, second], lambda: first.given == second.given == [0])
        poll_until([first, second, other], lambda: bool(first.has) and bool(other.has) and not first.has & other.has)
        first.stray = other.stray = 0
        for partition in range(PARTITIONS):
            produce(kafka, [1], partition=partition)
        poll_until([first, second, other], lambda: second.given == [0, 1] and 1 in [*first.given, *other.given])
        for _ in range(50):
            poll_until([first, second, other], lambda: True)
        assert [*first.given, *other.given].count(1) == 1
        assert (first.stray, other.stray) == (0, 0)
