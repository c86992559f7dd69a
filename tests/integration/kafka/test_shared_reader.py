"""One client reads for all roles of a process: each is given everything once, in order, and none waits for another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from kafka import codec  # type: ignore[import-untyped] # the library has no types
from kafka.consumer.fetcher import Fetcher  # type: ignore[import-untyped] # the same
from kafka.errors import KafkaConnectionError, TopicAuthorizationFailedError  # type: ignore[import-untyped] # the same

from conftest import PARTITIONS
from integration.contract.test_kafka_input import producer
from oms_es.kafka.client import Config, KafkaUnavailable, TopicPartition
from oms_es.kafka.groups import shared_reader
from oms_es.kafka.groups.membership import Group
from oms_es.kafka.groups.reading import Unreadable
from oms_es.kafka.groups.shared_reader import SharedReader, SharingGroup
from oms_es.schemas.topics import EVENT_TOPICS
from subscriber import READ_SECONDS_MAX

TOPIC = EVENT_TOPICS["stock"]
PLACE = TopicPartition(TOPIC, 0)
OTHER = TopicPartition(EVENT_TOPICS["order"], 0)
POLLS_MAX = 3_000
NAMES = ("stock_levels", "stock_allocator")


class Member:
    """A role that takes down what it is given of one partition."""

    def __init__(self, kafka: Config, name: str, reader: SharedReader, *topics: str) -> None:
        self.own = Group(kafka, name, [TOPIC, *topics])
        self.group = SharingGroup(self.own, reader)
        self.given: list[int] = []
        self.why: Unreadable | None = None
        self.has: set[TopicPartition] = set()
        self.stray = 0
        self.unavailable = ""

    def poll(self) -> None:
        try:
            found = self.group.poll()
        except KafkaUnavailable as error:
            self.unavailable, found = str(error), {}
        self.why = self.group.failures().get(PLACE, self.why)
        for assigned, topic_partitions in self.group.changes():
            self.has.update(topic_partitions) if assigned else self.has.difference_update(topic_partitions)
        self.stray += sum(topic_partition not in self.has for topic_partition in found)
        if PLACE in self.has:
            given = [int(message.value or b"") for message in found.get(PLACE, ())]
            self.given = list(dict.fromkeys([*self.given, *given]))  # a few are repeated where it joins the others

    @property
    def shares(self) -> bool:
        """Whether it is given what another client reads."""
        return PLACE in self.group._shared


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


def produce(kafka: Config, numbers: Sequence[int], compression: str = "none", at: TopicPartition = PLACE) -> None:
    client = producer(kafka, {"compression.type": compression, "linger.ms": 1_000})  # until flushed: in one batch
    for number in numbers:
        client.produce(at.topic, b"%d" % number, partition=at.partition)
    assert client.flush(READ_SECONDS_MAX) == 0


def poll_until(polled: Sequence[Member], done: Callable[[], bool]) -> None:
    for _ in range(POLLS_MAX):
        for member in polled:
            member.poll()
        if done():
            return
        time.sleep(0.005)
    raise AssertionError(f"it did not come: {[(member.given, member.unavailable) for member in polled]}")


def share(both: Sequence[Member]) -> None:
    """Let one client read for two roles, once each was given 0 and 1."""
    for number in range(2):
        produce(both[0].own.config, [number])
        poll_until(both, lambda: all(len(member.given) > number for member in both))  # noqa: B023 - called at once
    poll_until(both, lambda: all(member.shares for member in both))


def test_roles_that_have_read_to_the_end_are_read_for_by_one_client(kafka: Config) -> None:
    produce(kafka, range(5))
    with members(kafka, *NAMES) as both:
        poll_until(both, lambda: all(member.given == [*range(5)] and member.shares for member in both))
        produce(kafka, range(5, 9))
        poll_until(both, lambda: all(len(member.given) >= 9 for member in both))
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
        assert second.given == [*range(5_030)]


def test_a_role_that_is_full_is_read_for_no_more_and_goes_on_where_it_was(kafka: Config) -> None:
    with members(kafka, *NAMES) as (first, second):
        share([first, second])
        first.group.pause([PLACE])
        produce(kafka, range(2, 6))
        poll_until([first, second], lambda: second.given == [*range(6)])
        assert first.given == [0, 1]
        first.group.resume([PLACE])
        poll_until([first, second], lambda: first.given == [*range(6)])
        produce(kafka, [6])
        poll_until([first, second], lambda: first.given == second.given == [*range(7)] and first.shares)


def test_a_role_that_takes_nothing_is_released_and_continues_at_its_offset(
    kafka: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_reader, "BUFFERED_MAX", 20)
    with members(kafka, *NAMES) as (first, second):
        share([first, second])
        for begin in range(2, 102, 10):
            produce(kafka, range(begin, begin + 10))
            poll_until([second], lambda: second.given[-1] == begin + 9)  # noqa: B023 - called at once
        first.poll()
        assert 20 < len(first.given) - 2 <= 20 + 10
        poll_until([first, second], lambda: first.given == second.given == [*range(102)])
        produce(kafka, [102])
        poll_until([first, second], lambda: first.given == second.given == [*range(103)])


def test_a_role_that_is_paused_after_it_was_released_reads_nothing_until_it_is_resumed(
    kafka: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_reader, "BUFFERED_MAX", 20)
    with members(kafka, *NAMES) as (first, second):
        share([first, second])
        produce(kafka, range(2, 32))
        poll_until([second], lambda: second.given == [*range(32)])
        first.group.pause([PLACE])
        produce(kafka, range(32, 40))
        poll_until([first, second], lambda: second.given == [*range(40)])
        assert 22 < len(first.given) <= 32
        first.group.resume([PLACE])
        poll_until([first, second], lambda: first.given == [*range(40)])


def test_what_waits_for_a_role_is_taken_before_it_reads_on_for_all(kafka: Config) -> None:
    with members(kafka, *NAMES) as (first, second):
        share([first, second])
        produce(kafka, range(2, 5_000))
        poll_until([first], lambda: len(first.given) > 2)
        assert len(first.given) < 5_000
        second.poll()
        assert second.given == first.given
        poll_until([first, second], lambda: first.given == second.given == [*range(5_000)])


@pytest.fixture
def forbidden(monkeypatch: pytest.MonkeyPatch) -> set[TopicPartition]:
    """What may not be read, as a broker answers whose access rights were changed."""
    found: set[TopicPartition] = set()
    parse = Fetcher._parse_fetched_data

    def parsed(fetcher: Any, completed: Any) -> Any:
        if completed.topic_partition in found:
            raise TopicAuthorizationFailedError({completed.topic_partition.topic})
        return parse(fetcher, completed)

    monkeypatch.setattr(Fetcher, "_parse_fetched_data", parsed)
    return found


def test_a_topic_that_may_not_be_read_is_reported_by_its_roles_and_holds_up_nothing_else(
    kafka: Config, forbidden: set[TopicPartition]
) -> None:
    with members(kafka, NAMES[0]) as (first,):
        reader = first.group.reader
        second = Member(kafka, NAMES[1], reader, OTHER.topic)
        try:
            share([first, second])
            poll_until([first, second], lambda: reader.position(OTHER) is not None)
            forbidden.add(OTHER)
            produce(kafka, [0], at=OTHER)
            poll_until([first, second], lambda: "Authorization" in second.unavailable)
            produce(kafka, range(2, 9))
            poll_until([first, second], lambda: first.given == second.given == [*range(9)])
            assert not first.unavailable
            forbidden.clear()
            poll_until([first, second], lambda: second.group.reached(OTHER) == 1)
        finally:
            second.group.close()


def test_the_group_of_a_role_is_answered_though_the_shared_client_fails(
    kafka: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    with members(kafka, *NAMES) as (first, second):
        share([first, second])

        def cut_off(**_options: Any) -> Any:
            raise KafkaConnectionError("cut off")

        monkeypatch.setattr(first.group.reader._opened(), "poll", cut_off)
        poll_until([first, second], lambda: "cut off" in first.unavailable and "cut off" in second.unavailable)
        with members(kafka, NAMES[0]) as (other,):
            poll_until([first, second, other], lambda: bool(other.has and first.has) and not other.has & first.has)


def test_what_comes_before_a_batch_that_cannot_be_read_is_given_to_each_role(
    kafka: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it was fetched with it."""
    with members(kafka, *NAMES) as both:
        share(both)
        monkeypatch.setattr(codec, "zstd", None)
        produce(kafka, [2])  # what comes while this waits to be taken is fetched at once
        produce(kafka, range(3, 9))
        produce(kafka, range(9, 200), compression="zstd")
        poll_until(both, lambda: all(member.why for member in both))
        assert [member.given for member in both] == [[*range(9)]] * 2


def test_a_partition_that_cannot_be_read_is_reported_to_each_role(
    kafka: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    with members(kafka, *NAMES) as both:
        share(both)
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
            produce(kafka, [1], at=TopicPartition(TOPIC, partition))
        poll_until([first, second, other], lambda: second.given == [0, 1] and 1 in [*first.given, *other.given])
        for _ in range(50):
            poll_until([first, second, other], lambda: True)
        assert [*first.given, *other.given].count(1) == 1
        assert (first.stray, other.stray) == (0, 0)
