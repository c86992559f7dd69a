"""People are forgotten: their keys are destroyed, the rest of history stays right, and no one reads of them again."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from oms_es.app import DECIDERS, PROJECTIONS, Engine, migrate
from oms_es.app.privacy import erasing, expiring, family, holding
from oms_es.app.privacy.erasing import Erased, InTheClear, NotPassed
from oms_es.app.privacy.rows import OF_PEOPLE
from oms_es.exit_codes import Code
from oms_es.history import states
from oms_es.kernel import Refused
from oms_es.reports import queries
from oms_es.schemas.order import (
    AmendOrder,
    CancelOrder,
    LiftLegalHold,
    LineUnits,
    MergeOrders,
    OrderForgotten,
    OrderMergeDeclined,
    PlaceLegalHold,
    SplitOrder,
)
from oms_es.schemas.order.returns import RecordFeedbackGiven
from oms_es.schemas.vocabulary import EVENTS
from oms_es.store.dead_letters import DeadLetter, add_dead_letters
from oms_es.store.encoding.codec import Codec
from oms_es.store.http.tables import note_access
from oms_es.store.privacy import subject_keys
from oms_es.verification.verify import verify
from people import (
    ADA,
    C_ADA,
    C_GRACE,
    FIRST,
    GRACE,
    KEY,
    OF_GRACE,
    SAID,
    SECOND,
    assert_right,
    engine_with_people,
    everything,
    order_of,
    rows_of,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    with engine_with_people(database_url) as engine:
        yield engine


def forget(engine: Engine, orders: Sequence[str]) -> Erased:
    erasing.ask(engine, "dpo", orders, "request", "dsr-1")
    engine.settle()
    return erasing.erase(engine.database_url, orders, "dpo")


def test_a_customer_is_forgotten_and_everything_else_stays_right(engine: Engine) -> None:
    url = engine.database_url
    sales, stock = rows_of(url, "daily_sales"), rows_of(url, "stock_levels")
    with queries.reading(url) as connection:
        orders = family.orders_of(connection, "web", "c-1815")
    assert set(orders) == {FIRST, SECOND}
    assert all(said in everything(url) for said in ("Lovelace", "c-1815", "analytical"))
    done = forget(engine, orders)
    assert set(done.orders) == {FIRST, SECOND}
    assert [said for said in SAID if said in everything(url).replace(f"ring twice, {GRACE.name}", "")] == []
    assert (rows_of(url, "daily_sales"), rows_of(url, "stock_levels")) == (sales, stock)
    assert [row["customer_id"] for row in rows_of(url, "customers")] == ["c-1906"]
    assert [row["customer_id"] for row in rows_of(url, "customer_spending")] == ["c-1906"]
    assert {row["order_id"] for row in rows_of(url, "order_recipients") if row["name"]} == {OF_GRACE}
    assert [row["note_text"] for row in rows_of(url, "order_notes")] == [""]
    assert_right(engine)
    assert engine.store.history(f"order-{OF_GRACE}")[0].event.ship_to == GRACE  # type: ignore[attr-defined] # placed
    rebuilt = engine.rebuild_all(OF_PEOPLE)
    assert [(one.projection, one.written, one.removed) for one in rebuilt if one.written or one.removed] == []
    assert forget(engine, orders) == Erased([], 0, 0, 0, []), "asked again, nothing is left to be done"


def test_of_one_order_only_what_it_brought_its_customer_goes(engine: Engine) -> None:
    engine.submit("test", [RecordFeedbackGiven(order_id=FIRST, feedback_id="f", subject="order", rating=2)])
    engine.settle()
    forget(engine, [FIRST])
    [of_ada] = [row for row in rows_of(engine.database_url, "customers") if row["customer_id"] == "c-1815"]
    assert (of_ada["orders"], of_ada["ratings"], of_ada["last_order_id"]) == (1, 0, SECOND)
    engine.submit("test", [order_of(ADA, C_ADA, "4")])
    engine.settle()
    [of_ada] = [row for row in rows_of(engine.database_url, "customers") if row["customer_id"] == "c-1815"]
    assert of_ada["orders"] == 2, "from the rows as they are, not as the engine remembered them"
    assert_right(engine)


def test_the_past_does_not_bring_them_back(engine: Engine) -> None:
    url, before = engine.database_url, engine.last_position()
    made = states.keep(url, OF_PEOPLE, before, "kept")
    assert len(made) == len(OF_PEOPLE)
    assert "Lovelace" in everything(url)
    done = forget(engine, [FIRST, SECOND])
    assert done.states == len(OF_PEOPLE)
    assert "Lovelace" not in everything(url)
    states.keep(url, OF_PEOPLE, before, "kept")
    assert "Lovelace" not in everything(url)
    with psycopg.connect(url, row_factory=dict_row) as connection:
        found = states.asked_of(
            connection, OF_PEOPLE, before, lambda asked: asked.execute("SELECT * FROM customers").fetchall()
        )
    assert [row["customer_id"] for row in found] == ["c-1906"]


def test_orders_that_are_still_running_are_named_and_nothing_is_recorded(engine: Engine) -> None:
    waiting = [order_of(ADA, C_ADA, number, "NONE") for number in ("5", "6")]
    engine.submit("test", waiting)
    engine.settle()
    before = engine.last_position()
    with pytest.raises(Refused, match=f"{waiting[0].order_id} .* {waiting[1].order_id} "):
        erasing.ask(engine, "dpo", [FIRST, *(one.order_id for one in waiting)], "request", None)
    assert engine.last_position() == before


def test_what_was_split_off_is_forgotten_with_it(engine: Engine) -> None:
    order = order_of(ADA, C_ADA, "7", "NONE", 2)
    engine.submit("test", [order])
    engine.settle()
    engine.submit(
        "test", [SplitOrder(order_id=order.order_id, split_id="s", lines=(LineUnits(line_id="1", quantity=1),))]
    )
    engine.settle()
    with queries.reading(engine.database_url) as connection:
        orders = family.with_relatives(connection, [order.order_id])
        assert len(orders) == 2
        assert set(family.with_relatives(connection, [orders[1]])) == set(orders)
    engine.submit("test", [CancelOrder(order_id=one, reason="changed") for one in orders])
    engine.settle()
    assert set(forget(engine, orders).orders) == set(orders)
    assert_right(engine)


def expire(engine: Engine, before: datetime) -> expiring.Asked:
    with queries.reading(engine.database_url) as connection:
        return expiring.ask(engine, connection, "dpo", before)


def test_what_ended_before_a_moment_is_forgotten_though_no_one_asks(engine: Engine) -> None:
    waiting = order_of(GRACE, C_GRACE, "8", "NONE")
    engine.submit("test", [waiting, PlaceLegalHold(order_id=SECOND, case_id="court", reason="dispute")])
    engine.settle()
    [first] = [row["changed_at"] for row in rows_of(engine.database_url, "order_status") if row["order_id"] == FIRST]
    assert expire(engine, first) == expiring.Asked([], [], 0, more=False), "ended then, not before"
    asked = expire(engine, datetime.now(UTC) + timedelta(seconds=1))
    assert set(asked.orders) == {FIRST, OF_GRACE}
    assert (asked.kept_count, asked.more) == (1, False)
    assert [(one.order_id, "court holds it" in one.reason) for one in asked.kept] == [(SECOND, True)]
    engine.settle()
    done = erasing.erase(engine.database_url, asked.orders, "dpo")
    assert set(done.orders) == {FIRST, OF_GRACE}
    assert {row["order_id"] for row in rows_of(engine.database_url, "order_recipients") if row["name"]} == {
        SECOND,
        waiting.order_id,
    }
    assert expire(engine, datetime.now(UTC) + timedelta(seconds=1)).orders == [], "once"
    assert_right(engine)


def test_what_belongs_with_an_order_that_goes_on_is_kept(engine: Engine) -> None:
    order = order_of(ADA, C_ADA, "7", "NONE", 2)
    engine.submit("test", [order])
    engine.settle()
    engine.submit(
        "test", [SplitOrder(order_id=order.order_id, split_id="s", lines=(LineUnits(line_id="1", quantity=1),))]
    )
    engine.submit("test", [CancelOrder(order_id=order.order_id, reason="changed")])
    engine.settle()
    asked = expire(engine, datetime.now(UTC) + timedelta(seconds=1))
    assert order.order_id not in asked.orders
    assert [one.order_id for one in asked.kept if "has not ended as long ago" in one.reason] == [order.order_id]


def test_nothing_is_destroyed_before_every_reader_has_come_as_far(engine: Engine) -> None:
    with pytest.raises(NotPassed, match=f"{FIRST} were not asked"):
        erasing.erase(engine.database_url, [FIRST], "dpo")
    erasing.ask(engine, "dpo", [FIRST], "request", None)
    with pytest.raises(NotPassed, match="see that the engine runs"):
        erasing.erase(engine.database_url, [FIRST], "dpo")
    assert "Lovelace" in everything(engine.database_url)
    engine.settle()
    assert erasing.erase(engine.database_url, [FIRST], "dpo").orders == [FIRST]


def test_a_key_that_is_gone_without_being_forgotten_is_found(engine: Engine) -> None:
    with psycopg.connect(engine.database_url, row_factory=dict_row) as connection:
        subject_keys.destroy(connection, [OF_GRACE])
    report = verify(engine.database_url, DECIDERS, PROJECTIONS, Codec(EVENTS))
    [found] = [
        check
        for check in report.checks
        if check.name == "every key that is missing is of an order or an account that was forgotten"
    ]
    assert found.differences == [f"the key of {OF_GRACE} is gone"]


def test_what_was_interrupted_is_named_and_finished(engine: Engine) -> None:
    url = engine.database_url
    erasing.ask(engine, "dpo", [FIRST, SECOND], "request", None)
    engine.settle()
    forgotten = "no order and no account that was forgotten still has its key"
    report = verify(url, DECIDERS, PROJECTIONS, Codec(EVENTS))
    [found] = [check for check in report.checks if check.name == forgotten]
    assert sorted(found.differences) == sorted(
        f"the key of {one} is there: `oms-es privacy forget --resume`" for one in (FIRST, SECOND)
    )
    with psycopg.connect(url, row_factory=dict_row) as connection:
        left = erasing.unfinished(connection)
    assert left == [FIRST, SECOND]
    erasing.erase(url, left, "dpo")
    with psycopg.connect(url, row_factory=dict_row) as connection:
        assert erasing.unfinished(connection) == []
    assert_right(engine)


def test_who_declined_a_merge_is_no_relative_and_who_joined_is(engine: Engine) -> None:
    ours, theirs = order_of(ADA, C_ADA, "8", "NONE"), order_of(GRACE, C_GRACE, "9", "NONE")
    also = order_of(ADA, C_ADA, "10", "NONE")
    engine.submit("test", [ours, theirs, also])
    engine.settle()
    merge = MergeOrders(channel="web", merge_id="m", order_ids=(ours.order_id, theirs.order_id, also.order_id))
    assert engine.submit("test", [merge]) == []
    engine.settle()
    declined = engine.store.history(f"order-{theirs.order_id}")[-1].event
    assert isinstance(declined, OrderMergeDeclined)
    with queries.reading(engine.database_url) as connection:
        of_ours = family.with_relatives(connection, [ours.order_id])
        assert set(of_ours) == {ours.order_id, also.order_id, merge.order_id}
        assert family.with_relatives(connection, [merge.order_id])[0] == merge.order_id
        assert set(family.with_relatives(connection, [merge.order_id])) == set(of_ours)
        assert family.with_relatives(connection, [theirs.order_id]) == [theirs.order_id]


THEIRS = {
    "by address": b'{"email": "ada@analytical.example"}',
    "by number": b'{"tel": "+44 20 7946 0018"}',
    "their order": b'{"channel": "web", "external_id": "1", "lines": "none"}',
}
LIKE_THEIRS = {
    "by name and place": b'{"to": "Ada Lovelace", "zip": "SW1Y 4JH"}',
    "next door": b'{"street": "112 St James\'s Square"}',
    "the same words": b'{"note": "ring twice, Ada Lovelace"}',
    "longer address": b'{"email": "nevada@analytical.example", "or": "ada@analytical.example.org"}',
    "longer number": b'{"tel": "+44 20 7946 0018 5"}',
}
NOT_THEIRS = {
    "namesake": b'{"to": "Ada Lovelace", "zip": "10999"}',
    "another": b'{"to": "Grace Hopper"}',
    "another order": b'{"channel": "web", "external_id": "11", "lines": "none"}',
    "another channel": b'{"channel": "shop", "external_id": "1", "lines": "none"}',
    "many orders": b'[{"channel": "web", "external_id": "1"}, {"channel": "web", "external_id": "9"}]',
}


def test_input_of_theirs_loses_what_it_says_what_is_like_it_is_listed_and_other_input_is_left(engine: Engine) -> None:
    url = engine.database_url
    about = {**THEIRS, **LIKE_THEIRS, **NOT_THEIRS}
    with psycopg.connect(url, row_factory=dict_row) as connection:
        with connection.cursor() as curs:
            letters = [DeadLetter("web", place, "canonical", said, "x", "x", ()) for place, said in about.items()]
            add_dead_letters(curs, letters)
        note_access(connection, NOW, "support", "get-customer", "web~c-1815", "1")
        note_access(connection, NOW, "support", "get-customer_spending", "web/c-1815/EUR", "3")
        for number, other in enumerate(("web~c-1906", "web/c-18150/EUR", "web/c-1815/x")):
            note_access(connection, NOW, "support", "get-customer", other, str(number))
    done = forget(engine, [FIRST, SECOND])
    left = {row["place"]: row for row in rows_of(url, "oms_dead_letters")}
    emptied = {place for place, row in left.items() if bytes(row["payload"]).startswith(b"forgotten")}
    assert emptied == THEIRS.keys()
    assert done.dead_letters == len(THEIRS)
    assert {place for place, row in left.items() if row["id"] in done.like_theirs} == LIKE_THEIRS.keys()
    kept = {place: bytes(row["payload"]) for place, row in left.items() if place not in emptied}
    assert kept == {**LIKE_THEIRS, **NOT_THEIRS}
    assert {left[place]["discarded_by"] for place in emptied} == {"dpo"}
    assert sorted(row["subject"] for row in rows_of(url, "oms_access_log")) == [
        *["forgotten"] * 2,
        "web/c-1815/x",
        "web/c-18150/EUR",
        "web~c-1906",
    ]


def test_events_that_were_stored_in_the_clear_cannot_be_forgotten(database_url: str) -> None:
    migrate(database_url)
    with Engine(database_url) as engine:
        engine.submit("test", [order_of(ADA, C_ADA, "1")])
        engine.settle()
    with queries.reading(database_url) as connection, pytest.raises(InTheClear, match="run `oms-es migrate`"):
        erasing.require_encrypted(connection, [FIRST])
    migrate(database_url, data_keys=[KEY])
    with queries.reading(database_url) as connection:
        erasing.require_encrypted(connection, [FIRST])


def test_what_a_channel_sends_of_them_later_is_stored_nowhere(engine: Engine) -> None:
    forget(engine, [FIRST, SECOND])
    again = order_of(ADA, C_ADA, "1").model_copy(update={"shipping_minor": 5})
    late = AmendOrder(order_id=SECOND, amendment_id="a", ship_to=ADA, keep=True)
    assert engine.submit("web", [again, late]) == []
    engine.settle()
    assert "Lovelace" not in everything(engine.database_url)
    assert_right(engine)


def test_what_is_held_by_a_case_is_not_forgotten(engine: Engine) -> None:
    held = [PlaceLegalHold(order_id=order_id, case_id="case-7", reason="dispute") for order_id in (FIRST, SECOND)]
    assert engine.submit("dpo", held) == []
    with pytest.raises(Refused, match=f"{FIRST} cannot be forgotten: case-7 holds it.*{SECOND}"):
        erasing.ask(engine, "dpo", [FIRST, SECOND], "request", None)
    engine.submit("dpo", [LiftLegalHold(order_id=order_id, case_id="case-7") for order_id in (FIRST, SECOND)])
    engine.settle()
    assert set(forget(engine, [FIRST, SECOND]).orders) == {FIRST, SECOND}


def test_a_case_takes_what_it_can_and_is_refused_only_if_nothing_is_left(engine: Engine) -> None:
    held, _ = holding.hold(engine, "dpo", [FIRST], "court", "dispute")
    released, events = holding.release(engine, "dpo", [FIRST, SECOND], "court")
    assert (held, released, len(events)) == ([FIRST], [FIRST], 1), "the second is related since, and was never held"
    with pytest.raises(Refused, match=f"court does not hold order {SECOND}.*{OF_GRACE}"):
        holding.release(engine, "dpo", [SECOND, OF_GRACE], "court")
    with pytest.raises(Refused, match=f"court held order {FIRST} and was lifted"):
        holding.hold(engine, "dpo", [SECOND, FIRST], "court", "dispute")
    forget(engine, [FIRST])
    assert holding.hold(engine, "dpo", [FIRST, SECOND], "court-2", "dispute")[0] == [SECOND]
    with pytest.raises(Refused, match=f"order {FIRST} was forgotten"):
        holding.hold(engine, "dpo", [FIRST], "court-2", "dispute")


def test_from_the_terminal(oms: Any, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text(base64.b64encode(KEY).decode())
    file.chmod(0o600)
    monkeypatch.setenv("OMS_DATA_KEY_FILE", str(file))
    assert oms("migrate")[0] == Code.OK
    with Engine(database_url) as engine:
        engine.submit("test", [order_of(ADA, C_ADA, "1", "NONE")])
        engine.settle()
        assert oms("privacy", "forget")[0] == Code.USAGE
        assert oms("privacy", "forget", "--customer", "web/none")[0] == Code.NOT_FOUND
        code, _, err = oms("privacy", "forget", "--customer", "web/c-1815", "--wait", "0")
        assert (code, "cannot be forgotten yet: it is" in err) == (Code.REFUSED, True)
        engine.submit("test", [CancelOrder(order_id=FIRST, reason="changed")])
        engine.settle()
        code, _, err = oms("privacy", "forget", "--customer", "web/c-1815", "--case", "dsr-1", "--wait", "0")
        assert (code, "see that the engine runs" in err) == (Code.UNAVAILABLE, True)
        engine.settle()
        assert FIRST in oms("privacy", "status")[2]
        assert oms("privacy", "forget", "web/1", "--resume")[0] == Code.USAGE
        assert oms("privacy", "forget", "web/1", "--dry-run")[:2] == (Code.OK, f"web/1 {FIRST}\n")
        engine.submit("test", [order_of(ADA, C_ADA, "2", "NONE")])
        engine.settle()
        code, _, err = oms("privacy", "forget", "--customer", "web/c-1815", "--wait", "0")
        assert (code, f"order web/2 {SECOND}" in err) == (Code.REFUSED, True), "the newer one runs"
        assert json.loads(oms("privacy", "status", "--json")[1])["unfinished"] == [], "and the older is finished"
        code, out, err = oms("privacy", "forget", "web/1")
        assert (code, out.partition(", 0 rows")[0]) == (Code.OK, "forgotten: 1 orders, 0 keys destroyed")
        assert oms("privacy", "forget", "--resume")[:2] == (
            Code.OK,
            "forgotten: 0 orders, 0 keys destroyed, 0 rows and 0 dead letters written without the person\n",
        )
        assert "backups keep what they have" in err
        asked = engine.store.history(f"order-{FIRST}")[-1]
        assert isinstance(asked.event, OrderForgotten)
        assert (asked.actor.startswith("cli"), asked.event.case_id) == (True, "dsr-1")
    code, out, _ = oms("privacy", "purge", "--json")
    assert (code, json.loads(out)["left"]) == (Code.OK, [])
