"""Orders that cannot be sourced wait until they can be, also if something other than stock changes."""

from __future__ import annotations

from typing import Any

from oms_es.schemas import order as o
from oms_es.schemas import stock as s
from oms_es.schemas.catalog import rules as ru
from oms_es.schemas.catalog.location import CloseLocation, OpenLocation
from outside import Outside, run_on
from whole_engine import START, WholeEngine, failed

BERLIN = OpenLocation(location="berlin", country="DE")


def order(number: int, sku: str = "TEA") -> o.PlaceOrder:
    return o.PlaceOrder(
        channel="web",
        external_id=str(number),
        placed_at=START,
        currency="EUR",
        lines=(o.OrderLine(line_id="1", sku=sku, quantity=1, unit_price_minor=1_000),),
        ship_to=o.Address(country="DE"),
    )


class World:
    def __init__(self, *commands: Any) -> None:
        self.engine = WholeEngine()
        self.outside = Outside(self.engine)
        self.submit(*commands)

    def submit(self, *commands: Any) -> None:
        for command in commands:
            self.engine.submit(command)
            run_on(self.engine, self.outside)
        assert not failed(self.engine.history)

    def phases(self) -> list[str]:
        rows = sorted(self.engine.open_rows("order_status"), key=lambda row: row["external_id"])
        return [row["phase"] for row in rows]


def stock(quantity: int, sku: str = "TEA") -> s.ReceiveStock:
    return s.ReceiveStock(sku=sku, location="berlin", receipt_id="r", quantity=quantity)


def test_a_location_that_opens_after_its_stock_came_serves_all_who_wait_as_far_as_it_lasts() -> None:
    world = World(stock(2), stock(1, "CUP"), order(1), order(2), order(3), order(4, "CUP"))
    assert world.phases() == ["backordered"] * 4
    world.submit(BERLIN)
    assert world.phases() == ["completed", "completed", "backordered", "completed"]


def test_new_rules_serve_who_could_not_be_served() -> None:
    never = ru.EligibilityRule(rule_id="not-now", effect="never", locations=("berlin",))
    closed = ru.PublishSourcingRules(version="2", eligibility=(never,))
    world = World(BERLIN, closed, stock(2), order(1), order(2))
    assert world.phases() == ["backordered"] * 2
    world.submit(ru.PublishSourcingRules(version="3"))
    assert world.phases() == ["completed"] * 2


def test_anyone_who_may_not_be_served_from_there_is_not_woken() -> None:
    world = World(stock(1), order(1))
    before = len(world.engine.log)
    world.submit(BERLIN.model_copy(update={"channels": ("pos",)}))
    assert len(world.engine.log) == before + 1
    world.submit(CloseLocation(location="berlin", reason="again"), BERLIN)
    assert world.phases() == ["completed"]


def test_a_location_without_stock_leaves_everybody_waiting_in_turn() -> None:
    world = World(order(1), order(2))
    world.submit(BERLIN)
    assert world.phases() == ["backordered"] * 2
    world.submit(stock(1))
    assert world.phases() == ["completed", "backordered"]
