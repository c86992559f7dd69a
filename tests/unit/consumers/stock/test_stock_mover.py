"""Transferred units are received at their destination with everything known of them; presales are covered to the
last.
"""

from __future__ import annotations

from oms_es.consumers.stock import replenisher
from oms_es.consumers.stock.stock_mover import consumer
from oms_es.schemas import stock as s
from story import NOON, at, held


def test_what_left_one_location_is_let_into_the_other() -> None:
    for arrives_at in (None, NOON):
        left = s.StockMovedOut(**at(), move_id="m", to_location="paris", arrives_at=arrives_at, lot="l", serials=("1",))
        let_in = s.AdmitMove(
            **at("paris"), move_id="m", from_location="berlin", arrives_at=arrives_at, lot="l", serials=("1",)
        )
        assert consumer.react(left) == (let_in,)


def test_more_presales_are_covered_only_where_more_can_be() -> None:
    covered = s.StockPresaleCovered(**held())
    assert consumer.react(covered) == ()
    more = covered.model_copy(update={"more": True})
    assert consumer.react(more) == (s.CoverPresales(sku="A", location="berlin"),)


def test_each_time_it_runs_low_more_is_asked_for() -> None:
    low = s.StockRanLow(**at(quantity=8), available=2, reorder_point=3, occasion=2)
    asked = s.RequestReplenishment(**at(quantity=8), request_id="low/2")
    assert replenisher.consumer.react(low) == (asked,)
