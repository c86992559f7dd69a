"""Lots through the whole engine: units of an expired lot are neither promised nor picked, without any command."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from oms_es.schemas import stock as s
from oms_es.schemas.catalog.location import OpenLocation
from whole_engine import START, WholeEngine, failed

AT: Any = {"sku": "TEA", "location": "berlin"}
DAY = 86_400


def engine_with_lots() -> WholeEngine:
    engine = WholeEngine()
    engine.submit(OpenLocation(location="berlin", country="DE"))
    for bin_name, lot, days in (("a", "soon", 1), ("b", "soon", 1), ("a", "late", 9)):
        engine.submit(
            s.ReceiveStock(
                **AT,
                receipt_id=f"{lot}/{bin_name}",
                quantity=4,
                bin=bin_name,
                lot=lot,
                lot_expires_at=START + timedelta(days=days),
            )
        )
    engine.submit(s.SetReorderPoint(**AT, quantity=5, up_to=20))
    engine.settle()
    return engine


def level(engine: WholeEngine) -> Any:
    (row,) = engine.open_rows("stock_levels")
    return row


def test_a_lot_leaves_what_can_be_promised_on_the_day_after_its_expiry_and_more_is_asked_for() -> None:
    engine = engine_with_lots()
    engine.pass_time(2 * DAY - 1)
    engine.settle()
    assert level(engine)["atp"] == 12
    engine.pass_time(1)
    engine.settle()
    assert (level(engine)["atp"], level(engine)["quarantine"], level(engine)["on_hand"]) == (4, 8, 12)
    assert [row["quantity"] for row in engine.open_rows("replenishments")] == [16]
    assert [row["subject"] for row in engine.open_rows("deadlines")] == ["late"]
    before = len(engine.log)
    engine.pass_time(DAY)
    assert len(engine.log) == before
    assert not failed(engine.history)


def test_what_comes_after_its_lot_is_over_is_put_aside_as_well() -> None:
    engine = engine_with_lots()
    engine.pass_time(2 * DAY)
    engine.submit(
        s.RestockReturn(**AT, return_id="r", quantity=1, lot="soon", lot_expires_at=START + timedelta(days=1))
    )
    engine.settle()
    assert level(engine)["atp"] == 5
    engine.pass_time(1)
    engine.settle()
    assert (level(engine)["atp"], level(engine)["quarantine"]) == (4, 9)


def test_a_promise_that_only_an_expired_lot_could_keep_is_broken() -> None:
    engine = engine_with_lots()
    engine.submit(s.ReserveStock(**AT, reservation_id="o/1", order_id="o", quantity=10))
    engine.settle()
    engine.pass_time(2 * DAY)
    engine.settle()
    (broken,) = [row for row in engine.open_rows("open_exceptions") if row["kind"] == "promise_broken"]
    assert broken["detail"] == "10 x TEA at berlin are not there: lot soon expired"
    assert not failed(engine.history)
