"""The engine finishes what was asked, and forgets by itself what was kept for its time."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg.rows import dict_row

from oms_es.app import Engine, migrate
from oms_es.app.privacy import erasing, expiring, forgetter
from oms_es.app.privacy.forgetter import BACK_OFF_SECONDS, LOOK_SECONDS, SWEEP_SECONDS, Forgetter, Periods, keeping
from oms_es.app.rebuild import rebuild_lock_of
from oms_es.kafka.groups.watermark import Progress
from oms_es.schemas.order import LiftLegalHold, OrderForgotten, PlaceLegalHold
from oms_es.store import dead_letters
from oms_es.store.clock import Timing
from oms_es.store.dead_letters import DeadLetter, add_dead_letters
from oms_es.store.http.tables import note_access
from people import (
    ADA,
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


def test_a_step_in_which_readers_are_behind_destroys_nothing(
    begin: Callable[[Periods], Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiring, "STEP_SECONDS", 60.0)  # all three in one step, also on a busy machine
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


def test_by_retention_goes_no_dead_letter_that_is_open_newer_or_of_an_order_that_goes_on(
    begin: Callable[[Periods], Kept],
) -> None:
    kept = begin(Periods(orders=30 * DAY))
    of_ada, of_grace = (b'{"bad": "%s"}' % str(one.email).encode() for one in (C_ADA, C_GRACE))
    open_too = b'{"bad": "again %s"}' % str(C_GRACE.email).encode()
    newer = b'{"bad": "%s later"}' % str(C_GRACE.email).encode()
    said = [of_ada, of_grace, open_too, newer]
    bury(kept, said, settled=(1, 2, 4), old=(1, 2, 3))
    kept.engine.submit("test", [order_of(ADA, C_ADA, "4", "NONE")])
    kept.engine.settle()
    with psycopg.connect(kept.engine.database_url, row_factory=dict_row) as connection:
        for subject in ("web~c-1815", "web~c-1906", "web/c-1815/EUR"):
            note_access(connection, kept.time.now, "support", "get-customer", subject, "1")
    kept.after(31)
    assert kept.forgotten() == {FIRST, SECOND, OF_GRACE}
    assert contents(kept) == [of_ada, b"forgotten 2", open_too, newer], "of Ada another order goes on"
    letters = sorted(rows_of(kept.engine.database_url, "oms_dead_letters"), key=lambda row: row["id"])
    assert [row["discarded_at"] is None for row in letters] == [False, False, True, False]
    subjects = [row["subject"] for row in rows_of(kept.engine.database_url, "oms_access_log")]
    assert sorted(subjects) == ["forgotten", "web/c-1815/EUR", "web~c-1815"]


def test_dead_letters_that_a_case_needs_stay_when_another_order_of_the_person_is_forgotten(
    begin: Callable[[Periods], Kept],
) -> None:
    kept = begin(PERIODS)
    of_case = b'{"bad": "%s"}' % str(C_ADA.email).encode()
    of_first = b'{"channel": "web", "external_id": "1"}'
    bury(kept, [of_case, of_first], settled=(1, 2), old=(1, 2))
    kept.engine.submit("test", [PlaceLegalHold(order_id=SECOND, case_id="court", reason="dispute")])
    erasing.ask(kept.engine, "dpo", [FIRST], "request", "dsr-1")
    kept.engine.settle()
    erasing.erase(kept.engine.database_url, [FIRST], "dpo")
    assert contents(kept) == [of_case, b"forgotten 2"]


def bury(kept: Kept, said: Sequence[bytes], settled: Sequence[int], old: Sequence[int]) -> None:
    letters = [DeadLetter("web", str(n), "canonical", content, "bad", "why") for n, content in enumerate(said)]
    with kept.engine.recorder.datastore.transaction(commit=True) as curs:
        add_dead_letters(curs, letters)
        curs.execute(
            "UPDATE oms_dead_letters SET buried_at = buried_at - interval '1 hour' WHERE id = ANY(%s)", [list(old)]
        )
        for number in settled:
            dead_letters.discard(curs, dead_letters.Chosen(id=number), "ada", "not needed")


def test_who_holds_the_rows_is_waited_for_without_holding_up_the_loop(begin: Callable[[Periods], Kept]) -> None:
    kept = begin(Periods())
    first, _ = kept.forgetters
    erasing.ask(kept.engine, "dpo", [FIRST], "request", "dsr-1")
    kept.engine.settle()
    kept.time.now += timedelta(minutes=2)
    with psycopg.connect(kept.engine.database_url) as rebuilding:
        rebuilding.execute("SELECT pg_advisory_xact_lock(%s)", [rebuild_lock_of("customers")])
        began = time.monotonic()
        kept.time.wait()
        assert first.step() == 0
        assert time.monotonic() - began < 3 * erasing.LOCK_SECONDS_MAX, "one attempt"
    kept.time.wait()
    assert (first.step(), FIRST in kept.with_key()) == (0, True), "not at once again"
    kept.time.seconds += BACK_OFF_SECONDS
    assert (first.step(), FIRST in kept.with_key()) == (1, False)


def test_an_order_that_a_reader_has_not_passed_holds_up_no_other(
    begin: Callable[[Periods], Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = begin(Periods())
    first, _ = kept.forgetters
    for order_id in (FIRST, SECOND, OF_GRACE):
        erasing.ask(kept.engine, "dpo", [order_id], "request", "dsr-1")
    kept.engine.settle()
    kept.time.now += timedelta(minutes=2)
    monkeypatch.setattr(forgetter, "ORDERS_MAX", 1)
    monkeypatch.setattr(forgetter, "UNFINISHED", forgetter.UNFINISHED.replace("LIMIT 100", "LIMIT 1"))
    position = {row["order_id"]: row["position"] for row in rows_of(kept.engine.database_url, "forgotten_orders")}
    taken = Progress.has_taken
    monkeypatch.setattr(
        Progress, "has_taken", lambda self, role, stream, at: at != position[FIRST] and taken(self, role, stream, at)
    )
    for _ in range(3):
        kept.time.wait()
        first.step()
    assert kept.with_key() == {FIRST}
    monkeypatch.setattr(Progress, "has_taken", taken)
    for _ in range(3):
        kept.time.wait()
        first.step()
    assert kept.with_key() == set()


def test_a_sweep_begins_after_those_that_are_forgotten_and_reads_the_index_of_ended_orders(
    begin: Callable[[Periods], Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = begin(PERIODS)
    monkeypatch.setattr(expiring, "PAGE_MAX", 1)
    monkeypatch.setattr(expiring, "ENDED", expiring.ENDED.replace("LIMIT 1000", "LIMIT 1"))
    kept.time.wait(31)
    for _ in range(8):
        kept.after(0)
    assert kept.with_key() == set()
    first, after = kept.forgetters[0], []
    ask_some = expiring.ask_some

    def noted(*given: Any) -> expiring.Swept:
        after.append(given[4])
        return ask_some(*given)

    monkeypatch.setattr(expiring, "ask_some", noted)
    for _ in range(2):
        kept.time.seconds += SWEEP_SECONDS
        for _ in range(5):
            kept.time.wait()
            first.step()
    beginning = [place for place in after if place == expiring.BEGINNING]
    assert len(beginning) == 1, "the second sweep goes on after what the first found without keys"
    with psycopg.connect(kept.engine.database_url) as connection:
        connection.execute("SET enable_seqscan = off")
        given = [kept.time.now, *expiring.BEGINNING]
        plan = str(connection.execute(("EXPLAIN " + expiring.ENDED).encode(), given).fetchall())
    assert "order_status_by_ended" in plan
    assert "Sort" not in plan.partition("CTE Scan")[0], "in the order of the index"


def test_an_index_that_a_version_adds_is_made_for_a_table_that_exists(database_url: str) -> None:
    migrate(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP INDEX order_status_by_ended")
        migrate(database_url)
        made = "SELECT indexdef FROM pg_indexes WHERE indexname = 'order_status_by_ended'"
        [(definition,)] = connection.execute(made).fetchall()
    assert "WHERE (phase = ANY" in definition


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
