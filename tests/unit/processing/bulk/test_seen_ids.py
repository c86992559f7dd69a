"""An id that was added is known, and no other is, however few are in memory."""

from __future__ import annotations

from uuid import uuid5

from oms_es.processing.bulk.seen_ids import SeenIds
from oms_es.store.encoding.codec import EVENT_ID_NAMESPACE


def ids(count: int) -> list[bytes]:
    return [uuid5(EVENT_ID_NAMESPACE, str(number)).bytes for number in range(count)]


def test_all_that_were_added_are_known_and_no_others() -> None:
    there, others = ids(1_000)[::2], ids(1_000)[1::2]
    seen = SeenIds(held_max=30)
    for number, one in enumerate(there):
        assert one not in seen
        seen.add(one)
        assert one in seen
        assert there[number // 2] in seen
    assert all(one in seen for one in there)
    assert not any(one in seen for one in others)
    assert not any(bytes(at) + b"\xff" * (16 - at) in seen for at in range(17))


def test_no_more_are_in_memory_than_may_be() -> None:
    seen = SeenIds(held_max=30)
    for one in ids(1_000):
        seen.add(one)
        assert seen.held < 60
