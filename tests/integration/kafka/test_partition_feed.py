"""A partition's events arrive in order, each once and none missing, whichever transactions roll back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from eventsourcing.persistence import OperationalError
from hypothesis import given as given_data
from hypothesis import strategies as st

from oms_es.kafka.client import Message, TopicPartition
from oms_es.kafka.cloudevents import CloudEventsCodec
from oms_es.kafka.groups.feeds import PartitionFeed
from oms_es.kafka.relay.store import LogRow
from oms_es.kernel import Recorded
from oms_es.schemas.stock import StockReceived
from oms_es.schemas.vocabulary import EVENTS
from oms_es.simulation.world.broker import given
from oms_es.store.encoding.codec import Cause, Codec

PLACE = TopicPartition("oms.stock.events.v1", 0)
STREAM = "stock-A@berlin"
WIRE, CODEC = CloudEventsCodec(EVENTS), Codec(EVENTS)
LIMIT = 10


def message(position: int, previous: int) -> Message:
    event = StockReceived(sku="A", location="berlin", receipt_id=str(position), quantity=1)
    recorded = CODEC.envelop(STREAM, position, event, Cause("test"), datetime(2026, 1, 1, tzinfo=UTC))
    row = LogRow(position, STREAM, position, "StockReceived", CODEC.encode(recorded))
    sent = WIRE.outgoing(row, position, PLACE, previous)
    return Message(PLACE, position, sent.key, sent.value, given(sent.headers))


def stored(after: int, to: int) -> Iterator[Recorded]:
    """Return events as the store has them: every second position belongs to another partition."""
    return (WIRE.recorded(message(position, position - 2)) for position in range(2, to + 1, 2) if position > after)


def positions(feed: PartitionFeed, after: int) -> list[int]:
    return [recorded.position for recorded in feed.read(after, LIMIT)]


def test_what_a_crash_of_the_database_takes_back_is_given_again() -> None:
    feed = PartitionFeed(PLACE, WIRE, lambda _, after, to: stored(after, to))
    feed.put([message(2, 0), message(4, 2), message(6, 4)])
    assert positions(feed, 0) == [2, 4, 6]
    assert positions(feed, 6) == []
    feed.begin(2)
    assert positions(feed, 2) == [4, 6]
    feed.put([message(8, 6)])
    assert positions(feed, 6) == [8]


def test_where_nothing_was_taken_back_nothing_is_read_from_the_store() -> None:
    feed = PartitionFeed(PLACE, WIRE, lambda *_: pytest.fail("nothing is missing"))
    feed.put([message(2, 0), message(4, 2)])
    assert positions(feed, 0) == [2, 4]
    assert positions(feed, 2) == [4]
    feed.begin(2)
    assert positions(feed, 2) == [4]


def test_an_outage_in_the_middle_of_a_gap_skips_nothing_of_it() -> None:
    outages = [True]

    def backfill(_: TopicPartition, after: int, to: int) -> Iterator[Recorded]:
        for recorded in stored(after, to):
            if recorded.position == 4 and outages:
                outages.clear()
                raise OperationalError("away")
            yield recorded

    feed = PartitionFeed(PLACE, WIRE, backfill)
    feed.put([message(8, 6)])
    with pytest.raises(OperationalError):
        feed.read(0, LIMIT)
    assert positions(feed, 0) == [2, 4, 6, 8]


def test_what_others_took_of_a_gap_is_not_given_again() -> None:
    """The positions past events of no interest are taken back, and a chain takes all that follows before the reader."""
    feed = PartitionFeed(PLACE, WIRE, lambda _, after, to: stored(after, to))
    feed.put([message(2, 0), message(4, 2), message(6, 4)])
    assert positions(feed, 0) == [2, 4, 6]
    assert positions(feed, 6) == []
    feed.begin(2)
    feed.begin(4)
    assert positions(feed, 4) == [6]
    feed.begin(2)
    feed.begin(8)
    assert positions(feed, 8) == []
    feed.put([message(8, 6), message(10, 8)])
    assert positions(feed, 8) == [10]


@given_data(
    st.lists(
        st.tuples(st.sampled_from(["send", "take", "taken back", "overtaken", "outage"]), st.integers(1, 6)),
        max_size=30,
    )
)
def test_whatever_happens_to_a_reader_s_position_what_follows_it_comes_in_order_and_once(
    steps: list[tuple[str, int]],
) -> None:
    outages: list[int] = []

    def backfill(_: TopicPartition, after: int, to: int) -> Iterator[Recorded]:
        for recorded in stored(after, to):
            if outages:
                outages.pop()
                raise OperationalError("away")
            yield recorded

    feed = PartitionFeed(PLACE, WIRE, backfill)
    sent = at = 0
    for what, n in steps:
        if what == "send":
            feed.put([message(position, position - 2) for position in range(sent + 2, sent + 2 * n + 2, 2)])
            sent += 2 * n
        elif what == "take":
            with suppress(OperationalError):
                taken = [recorded.position for recorded in feed.read(at, n)]
                assert taken == list(range(at + 2, min(at + 2 * n, sent) + 1, 2))
                at = max([at, *taken])
        elif what == "taken back":
            at = max(0, at - 2 * n)
            feed.begin(at)
        elif what == "overtaken":
            at = min(sent, at + 2 * n)
            feed.begin(at)
        else:
            outages.append(1)
    outages.clear()
    assert [recorded.position for recorded in feed.read(at, 1_000)] == list(range(at + 2, sent + 1, 2))
