"""A replay with a change: the engine decides again, and the model answers what history has no answer to."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from oms_es.kernel import Recorded
from oms_es.schemas import order as o
from oms_es.schemas import shipment as sh
from oms_es.schemas import stock as s
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.catalog.rules import EligibilityRule, PublishSourcingRules
from oms_es.whatif.changes import Changes, Unreadable, file_of, number_of, require_known
from oms_es.whatif.comparing import Comparison, compare
from oms_es.whatif.diverging import Diverging
from oms_es.whatif.equality import unlike
from oms_es.whatif.history import Lived
from oms_es.whatif.page import as_html
from oms_es.whatif.stories import stories
from outside import Outside, run_on
from relived_world import history_of
from whole_engine import START, WholeEngine

ORDERS = 4


def placed(number: int) -> o.PlaceOrder:
    return o.PlaceOrder(
        channel="web",
        external_id=str(number),
        placed_at=START,
        currency="EUR",
        lines=(o.OrderLine(line_id="1", sku="TEA", quantity=1, unit_price_minor=1_000),),
        ship_to=o.Address(country="DE"),
    )


@pytest.fixture(scope="module")
def history() -> list[Recorded]:
    """Berlin, which comes first, has enough for all but one order; Lyon has nothing of it until the last one waits."""
    engine = WholeEngine()
    outside = Outside(engine)
    engine.submit(OpenLocation(location="berlin", country="DE", priority=1))
    engine.submit(OpenLocation(location="lyon", country="FR", priority=2))
    engine.submit(s.ReceiveStock(sku="TEA", location="berlin", receipt_id="r1", quantity=ORDERS - 1))
    for number in range(ORDERS):
        engine.pass_time(60)
        engine.submit(placed(number))
        run_on(engine, outside)
    engine.pass_time(3_600)
    engine.submit(s.ReceiveStock(sku="TEA", location="lyon", receipt_id="r2", quantity=10))
    run_on(engine, outside)
    return list(engine.log)


def compared(history: list[Recorded], changes: Changes) -> Comparison:
    return compare(Lived((), history), changes, history[-1].position, lambda _: None)


def places(found: Comparison) -> Counter[str]:
    return Counter(r.event.location for r in found.relived if isinstance(r.event, sh.ShipmentRequested))


def test_with_more_stock_no_order_waits(history: list[Recorded]) -> None:
    found = compared(history, Changes(stock={("TEA", "berlin"): 5}))
    assert (found.before.total["backorders"], found.after.total["backorders"]) == (1, 0)
    assert (found.before.total["fill_percent"], found.after.total["fill_percent"]) == (75, 100)
    assert places(found) == {"berlin": ORDERS}
    assert list(found.differ) == [placed(ORDERS - 1).order_id]
    assert found.modelled == 1


def test_with_a_safety_stock_orders_wait_and_are_shipped_from_elsewhere(history: list[Recorded]) -> None:
    found = compared(history, Changes(safety_stock={("*", "berlin"): ORDERS}))
    assert (found.before.total["backorders"], found.after.total["backorders"]) == (1, ORDERS)
    assert places(found) == {"lyon": ORDERS}
    assert len(found.differ) == ORDERS - 1  # the last one waited for Lyon, too
    phases = Counter(type(r.event).__name__ for r in found.relived)
    assert phases["ShipmentBooked"] == phases["ShipmentDispatched"] == phases["PaymentCaptured"] == ORDERS


def test_other_rules_hold_from_the_beginning_on(history: list[Recorded]) -> None:
    never = EligibilityRule(rule_id="never", effect="never", locations=("berlin",))
    found = compared(history, Changes(published=[PublishSourcingRules(version="2", eligibility=(never,))]))
    assert places(found) == {"lyon": ORDERS}
    assert found.after.by_location["lyon"]["parcels"] == ORDERS
    page = as_html(found, Changes())
    assert "<td>parcels</td>" in page
    assert "<svg" in page


def test_both_stories_of_an_order_begin_alike_and_part(history: list[Recorded]) -> None:
    found = compared(history, Changes(stock={("TEA", "berlin"): 5}))
    steps = stories(history, found.relived, placed(ORDERS - 1).order_id)
    assert steps[0].is_same
    assert not all(step.is_same for step in steps)
    before = [step.before["event"] for step in steps if step.before]
    after = [step.after["event"] for step in steps if step.after]
    assert ("OrderBackordered" in before, "OrderBackordered" in after) == (True, False)


@pytest.mark.parametrize("seed", range(4))
def test_a_change_that_concerns_nothing_changes_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model answers nothing, and no deadline comes early."""
    history = history_of(seed, monkeypatch)
    fork = Diverging((), history, Changes(capacities={"nowhere": 1}), rest_seconds=0.0)
    fork.run()
    assert list(unlike(history, fork.events(0))) == []
    assert not fork.answers.orders
    assert not fork.differ


def test_what_is_not_in_history_cannot_be_changed(history: list[Recorded]) -> None:
    require_known(Changes(stock={("TEA", "berlin"): 1, ("*", "lyon"): 1}, capacities={"lyon": 3}), history)
    with pytest.raises(Unreadable, match="no stock of TEA at berln, no location paris"):
        require_known(Changes(safety_stock={("TEA", "berln"): 1}, capacities={"paris": 3}), history)


def test_what_is_to_be_changed_is_read_or_refused(tmp_path: Path) -> None:
    assert number_of("A@b@berlin=-3") == (("A@b", "berlin"), -3)
    assert number_of("berlin=7", located=False) == (("*", "berlin"), 7)
    for wrong in ("berlin=7", "A@berlin", "A@berlin=many"):
        with pytest.raises(Unreadable, match="SKU@LOCATION=NUMBER"):
            number_of(wrong)
    rules = tmp_path / "rules.toml"
    rules.write_text("[split]\nshipments_max = 1\n")
    assert file_of("rules", rules) == PublishSourcingRules(version="what-if", split={"shipments_max": 1})
    rules.write_text("[split]\nshipments_max = 9\n")
    with pytest.raises(Unreadable, match=r"split\.shipments_max"):
        file_of("rules", rules)
    with pytest.raises(Unreadable, match="cannot be read"):
        file_of("rules", tmp_path / "none.toml")
