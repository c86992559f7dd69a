"""The engine finishes what was asked, and forgets by itself what was kept for its time."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from oms_es.app import Engine
from oms_es.app.privacy import erasing
from oms_es.app.privacy.forgetter import LOOK_SECONDS, SWEEP_SECONDS, Forgetter, Periods, keeping
from oms_es.schemas.order import LiftLegalHold, OrderForgotten, PlaceLegalHold
from oms_es.store import dead_letters
from oms_es.store.clock import Timing
from oms_es.store.dead_letters import DeadLetter, add_dead_letters
from people import (
    C_ADA,
    C_GRACE,
    FIRST,
    GRACE,
    OF_GRACE,
    SAID,
    SECOND,
    assert_right,
    engine_with_people,
    everything,
    order_of,
    rows_of,
)

DAY = timedelta(days=1)
PERIODS = Periods(orders=30 * DAY, dead_letters=10 * DAY)
STEPS_MAX = 6


class Time:
    """The clock of the engine, and the time that its forgetters wait by."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.seconds = 0.0

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, days: float = 0) -> None:
        self.now += days * DAY
        self.seconds += SWEEP_SECONDS if days else LOOK_SECONDS


class Kept(NamedTuple):
    engine: Engine
    time: Time
    forgetters: list[Forgetter]

    def after(self, days: float) -> None:
        """Let days pass, and everything that is to be done then be done."""
        self.time.wait(days)
        for _ in range(STEPS_MAX):
            self.engine.settle()
            self.time.wait()

    def forgotten(self) -> set[str]:
        return {row["order_id"] for row in rows_of(self.engine.database_url, "forgotten_orders")}

    def with_key(self) -> set[str]:
        rows = rows_of(self.engine.database_url, "oms_subject_keys")
        return {row["subject"] for row in rows if row["wrapped"] is not None}


@pytest.fixture
def begin(database_url: str) -> Iterator[Callable[[Periods], Kept]]:
    """Begins a shop with two forgetters, as of two processes."""
    opened = []

    def begun(periods: Periods) -> Kept:
        time, forgetters = Time(), list[Forgetter]()

        def beside(runtime: Engine) -> list[Forgetter]:
            forgetters.extend(Forgetter(runtime, periods, Timing(time.monotonic)) for _ in range(2))
            return forgetters

        opened.append(engine_with_people(database_url, clock=time, beside=beside))
        return Kept(opened[-1].__enter__(), time, forgetters)

    yield begun
    for one in opened:
        one.__exit__(None, None, None)


def test_who_ordered_long_ago_is_forgotten_though_no_one_asks(begin: Callable[[Periods], Kept]) -> None:
    kept = begin(PERIODS)
    kept.after(29)
    assert kept.forgotten() == set()
    kept.engine.submit("test", [order_of(GRACE, C_GRACE, "4"), order_of(GRACE, C_GRACE, "5", "NONE")])
    running, waiting = (order_of(GRACE, C_GRACE, number).order_id for number in "45")
    kept.engine.settle()
    sales = rows_of(kept.engine.database_url, "daily_sales")
    kept.after(2)
    assert kept.forgotten() == {FIRST, SECOND, OF_GRACE}
    assert kept.with_key() == {running, waiting}, "one has ended since, one has not ended"
    assert [said for said in SAID if said in everything(kept.engine.database_url) and said != "ring twice"] == []
    asked = rows_of(kept.engine.database_url, "forgotten_orders")
    assert {(row["forgotten_by"], row["reason"], row["case_id"]) for row in asked} == {
        ("forgetting", "retention", None)
    }
    assert rows_of(kept.engine.database_url, "daily_sales") == sales
    assert_right(kept.engine)
    end = kept.engine.last_position()
    kept.after(0.5)
    assert kept.engine.last_position() == end, "once"


def test_what_a_case_holds_is_kept_until_it_is_lifted(begin: Callable[[Periods], Kept]) -> None:
    kept = begin(PERIODS)
    kept.engine.submit("test", [PlaceLegalHold(order_id=SECOND, case_id="court", reason="dispute")])
    kept.after(31)
    assert kept.forgotten() == {FIRST, OF_GRACE}
    assert kept.with_key() == {SECOND}
    [hold] = rows_of(kept.engine.database_url, "legal_holds")
    assert (hold["order_id"], hold["case_id"], hold["placed_by"], hold["lifted_at"]) == (SECOND, "court", "test", None)
    kept.engine.submit("ada", [LiftLegalHold(order_id=SECOND, case_id="court")])
    kept.after(1)
    [hold] = rows_of(kept.engine.database_url, "legal_holds")
    assert (hold["lifted_by"], hold["lifted_at"] is not None) == ("ada", True)
    assert kept.with_key() == set()
    assert_right(kept.engine)


@pytest.mark.parametrize("seed", range(int(os.environ.get("OMS_TEST_KILLS", "1"))))
def test_however_two_processes_take_turns_each_order_is_forgotten_once(
    begin: Callable[[Periods], Kept], seed: int
) -> None:
    kept, chance = begin(PERIODS), random.Random(seed)
    kept.time.wait(31)
    for _ in range(40):
        match chance.randrange(4):
            case 0:
                kept.engine.loop.iterate()
            case 1:
                kept.time.wait()
            case number:
                kept.forgetters[number - 2].step()
        if chance.random() < 0.1:
            kept.forgetters[chance.randrange(2)].seek()  # as a process that begins
    kept.after(0.5)
    history = [kept.engine.store.history(f"order-{one}") for one in (FIRST, SECOND, OF_GRACE)]
    assert [sum(isinstance(one.event, OrderForgotten) for one in each) for each in history] == [1, 1, 1]
    assert kept.with_key() == set()
    assert_right(kept.engine)


def test_what_was_asked_and_interrupted_is_finished_after_a_while(begin: Callable[[Periods], Kept]) -> None:
    kept = begin(Periods())
    erasing.ask(kept.engine, "dpo", [FIRST], "request", "dsr-1")
    for _ in range(3):
        kept.engine.settle()
        kept.time.wait()
    assert FIRST in kept.with_key(), "the command that asked does it itself"
    kept.time.now += timedelta(minutes=2)
    kept.after(0)
    assert kept.with_key() == {SECOND, OF_GRACE}, "and without a period, no one else is forgotten"
    assert_right(kept.engine)


def test_a_step_in_which_readers_are_behind_destroys_nothing(begin: Callable[[Periods], Kept]) -> None:
    kept = begin(PERIODS)
    kept.time.wait(31)
    first, _ = kept.forgetters
    assert first.step() == 1, "it is recorded"
    [own] = [one for one in kept.engine.projection_workers if one.name == "forgotten_orders"]
    kept.engine.log.refresh()
    assert own.step() == 3
    kept.time.wait()
    assert (first.step(), kept.forgotten()) == (0, {FIRST, SECOND, OF_GRACE})
    assert kept.with_key() == kept.forgotten(), "others have not come as far"


def test_dead_letters_are_emptied_some_time_after_they_were_settled(begin: Callable[[Periods], Kept]) -> None:
    kept = begin(PERIODS)
    said = {
        "settled": b'{"channel": "web", "note": "of no one"}',
        "open": b'{"channel": "web", "note": "still open"}',
        "of a case": b'{"email": "%s"}' % str(C_ADA.email).encode(),
        "like a case": b'{"street": "12 St James\'s Square"}',
    }
    letters = [DeadLetter("web", str(n), "canonical", content, "bad", "why") for n, content in enumerate(said.values())]
    kept.engine.submit("test", [PlaceLegalHold(order_id=FIRST, case_id="court", reason="dispute")])
    with kept.engine.recorder.datastore.transaction(commit=True) as curs:
        add_dead_letters(curs, letters)
        for number in (1, 3, 4):
            dead_letters.discard(curs, dead_letters.Chosen(id=number), "ada", "not needed")
    kept.after(9)
    assert contents(kept) == list(said.values())
    kept.after(2)
    assert contents(kept) == [b"expired 1", *list(said.values())[1:]]
    [row] = [row for row in rows_of(kept.engine.database_url, "oms_dead_letters") if row["id"] == 1]
    assert (row["detail"], row["discarded_by"], row["discarded_because"]) == ("", "ada", "not needed")
    kept.engine.submit("test", [LiftLegalHold(order_id=FIRST, case_id="court")])
    kept.engine.settle()
    kept.after(1)
    assert contents(kept) == [b"expired 1", said["open"], b"expired 3", b"expired 4"]


def contents(kept: Kept) -> list[bytes]:
    rows = rows_of(kept.engine.database_url, "oms_dead_letters")
    return [bytes(row["payload"]) for row in sorted(rows, key=lambda row: row["id"])]


def test_an_engine_that_runs_keeps_the_periods_that_are_set(database_url: str) -> None:
    with engine_with_people(database_url, clock=lambda: datetime.now(UTC) - 3 * DAY):
        pass
    with Engine(database_url, beside=keeping(Periods(orders=2 * DAY))) as engine:
        for _ in range(50):
            engine.settle()
            rows = rows_of(database_url, "oms_subject_keys")
            if all(row["wrapped"] is None for row in rows):
                break
            engine.loop.timing.sleep(0.2)
        assert {row["subject"] for row in rows if row["destroyed_at"]} == {FIRST, SECOND, OF_GRACE}
        assert_right(engine)
