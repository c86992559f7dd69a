"""The result of `verify` is the same in one process or several, and with however little memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_es.app import DECIDERS, PROJECTIONS, engine_on
from oms_es.app.sharing.verifying import verify_together
from oms_es.demo.workload import Workload
from oms_es.processing.bulk import overflow, processes, seen_ids
from oms_es.processing.bulk.overflow import Overflowing
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.encoding.codec import Codec
from oms_es.verification import reading
from oms_es.verification.check import DIFFERENCES_MAX
from oms_es.verification.verify import Report, shared_questions, verify

ORDERS = 40
BOUNDS = ((overflow, "ENTRIES_HELD_MAX", 3), (reading, "READ_MAX", 20), (seen_ids, "IDS_HELD_MAX", 50))
SPOILT = (
    "UPDATE stock_levels SET on_hand = on_hand + 1",
    "DELETE FROM order_status WHERE order_id < '4'",
    "UPDATE order_timeline SET summary = 'x' || summary WHERE mod(position, 9) = 0",
    "INSERT INTO locations VALUES ('ghost', 'store', 'DE', '', NULL, NULL, 0, 0, '{}', '{}', NULL, true)",
    (
        "UPDATE oms_events SET state = convert_to(jsonb_set(convert_from(state, 'UTF8')::jsonb, '{caused_by}', "
        "'\"00000000-0000-4000-8000-000000000000\"')::text, 'UTF8') WHERE mod(notification_id, 50) = 0"
    ),
    "DELETE FROM oms_events WHERE notification_id = 77",
    "UPDATE oms_events SET state = 'nothing' WHERE notification_id = 101",
)


@pytest.fixture
def url(database_url: str) -> str:
    with engine_on(database_url) as engine:
        for batch in Workload(5, ORDERS).steps(500):
            engine.submit("test", batch)
        engine.settle()
    with psycopg.connect(database_url) as connection:
        assert all(connection.execute(statement.encode()).rowcount for statement in SPOILT)
    return database_url


def report(url: str) -> Report:
    return verify(url, DECIDERS, PROJECTIONS, Codec(EVENTS))


def test_the_answers_are_the_same(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = report(url)
    assert sum(check.failed > 0 for check in expected.checks) > 6
    aged: list[str] = []
    for module, name, value in BOUNDS:
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(Overflowing, "age", watched(Overflowing.age, aged))
    assert_same(report(url), expected)
    assert len(aged) > 1_000
    monkeypatch.setattr(processes, "EVENTS_PER_PROCESS_MIN", 1)
    seen: list[tuple[int, int]] = []
    assert_same(verify_together(url, lambda *position: seen.append(position), processes=2), expected)
    assert [last for _, last in seen] == [expected.position] * len(seen)
    assert sorted(seen) == seen != []


def assert_same(found: Report, expected: Report) -> None:
    assert (found.position, found.streams) == (expected.position, expected.streams)
    for one, other in zip(found.checks, expected.checks, strict=True):
        assert (one.name, one.checked, one.failed) == (other.name, other.checked, other.failed)
        assert (set(one.differences) == set(other.differences)) or one.failed > DIFFERENCES_MAX


def watched(age: Callable[[Any], None], aged: list[str]) -> Callable[[Any], None]:
    def watching(mapping: Any) -> None:
        aged.append(type(mapping).__name__)
        age(mapping)

    return watching


@given(st.dictionaries(st.sampled_from(sorted(EVENTS)), st.integers(0, 1_000)), st.integers(1, 100))
def test_every_question_is_asked_once_by_however_many(events: dict[str, int], count: int) -> None:
    shares = shared_questions(PROJECTIONS, events, count)
    assert len(shares) <= count
    assert [one.promises for one in shares].count(True) == [one.seals for one in shares].count(True) == 1
    assert sorted(name for one in shares for name in one.read_models) == sorted(one.name for one in PROJECTIONS)
