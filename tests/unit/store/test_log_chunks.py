"""A reader receives what it would by reading every event, whatever batches the events came in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oms_es.kernel import Event, Recorded
from oms_es.memory.client import Alone
from oms_es.memory.database import Database
from oms_es.memory.kept_codec import KeptCodec
from oms_es.memory.recording import MemoryRecorder
from oms_es.schemas.stock import StockReceived, StockReleased, StockReserved
from oms_es.store import log as logs
from oms_es.store.encoding.codec import Cause
from oms_es.store.log import Log
from oms_es.store.recorder import EventRow

AT = datetime(2026, 1, 1, tzinfo=UTC)
EVENTS: Sequence[Event] = (
    StockReserved(sku="A", location="x", reservation_id="1", order_id="1", quantity=1),
    StockReleased(sku="A", location="x", reservation_id="1", order_id="1", quantity=1),
    StockReceived(sku="A", location="x", receipt_id="1", quantity=1),
)
KINDS = [type(event) for event in EVENTS]
WINDOW, PAGE = 8, 3


def appended(recorder: MemoryRecorder, codec: KeptCodec, numbers: Sequence[int]) -> list[Recorded]:
    made = [codec.envelop(f"x-{recorder.end() + n}", 1, EVENTS[of], Cause("test"), AT) for n, of in enumerate(numbers)]
    rows = [EventRow(one.stream, 1, type(one.event).__name__, codec.encode(one)) for one in made]
    with recorder.writing() as transaction:
        ids = recorder.append(transaction, rows)
    return [one._replace(position=position) for one, position in zip(made, ids, strict=True)]


def looked_at(every: Sequence[Recorded], after: int, kinds: frozenset[type[Event]], last: int) -> list[Recorded]:
    return [one for one in every if after < one.position <= last and type(one.event) in kinds]


@settings(deadline=None)
@given(
    batches=st.lists(st.tuples(st.lists(st.integers(0, 2), min_size=1, max_size=5), st.booleans()), max_size=12),
    kinds=st.sets(st.sampled_from(KINDS)).map(frozenset),
    limit=st.integers(1, 6),
    bounds=st.lists(st.integers(0, 60) | st.none(), min_size=1, max_size=4),
    forgotten=st.lists(st.integers(0, 60), max_size=6),
)
def test_every_event_of_interest_is_given_once_in_order_up_to_the_bound(
    batches: Sequence[tuple[Sequence[int], bool]],
    kinds: frozenset[type[Event]],
    limit: int,
    bounds: Sequence[int | None],
    forgotten: Sequence[int],
) -> None:
    """Events come from this process or another one, from the beginning of the log, and from before the window; what
    was forgotten too early is read again."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("WINDOW_MAX", WINDOW), ("BEHIND_MAX", WINDOW), ("READ_MAX", PAGE)):
            patch.setattr(logs, name, value)
        codec = KeptCodec({kind.__name__: kind for kind in KINDS})
        recorder = MemoryRecorder(Alone(), Database(codec, (), lambda _rows: None))
        log = Log(recorder, codec)
        every: list[Recorded] = []
        to_forget = list(forgotten)
        for numbers, is_ours in batches:
            every += (new := appended(recorder, codec, numbers))
            if is_ours:
                log.notify_appended(new)
            if to_forget and not numbers[0]:
                log.forget(to_forget.pop())
        while log.end < recorder.end():
            log.refresh()
        after = 0
        for bound in (*bounds, None):
            last = len(every) if bound is None else min(bound, len(every))
            given_out: list[Recorded] = []
            begin = after
            if to_forget:
                log.forget(to_forget.pop())
            while (found := log.next_of(after, kinds, limit, repeat(bound).__next__)) and found[1] > after:
                some, after = found
                assert len(some) <= limit
                assert after <= max(begin, last)
                given_out += some
            assert given_out == looked_at(every, begin, kinds, last)
            assert after == max(begin, last)
        assert log.next_of(after, kinds, limit, lambda: None) is None
