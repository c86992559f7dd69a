"""Presales through the whole engine: what becomes of a deposit, and that a full refund returns exactly what was
paid.
"""

from __future__ import annotations

from typing import Any

import pytest

from oms_es.schemas import order as o
from oms_es.schemas import payment as p
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.stock import ReceiveStock, SetPresaleLimit
from outside import Outside, run_on
from whole_engine import START, WholeEngine, failed

PLACE = o.PlaceOrder(
    channel="web",
    external_id="1",
    placed_at=START,
    currency="EUR",
    lines=(
        o.OrderLine(line_id="1", sku="POT", quantity=2, unit_price_minor=999),
        o.OrderLine(line_id="2", sku="CUP", quantity=1, unit_price_minor=500),
    ),
    shipping_minor=401,
    discount_minor=100,
    ship_to=o.Address(country="DE"),
    kind="presale",
    deposit_minor=1_000,
)
OF: Any = {"order_id": PLACE.order_id}
LIMITS = {"POT": "berlin", "CUP": "paris"}


class Presale:
    """An order of two parcels: its pots are sourced from Berlin, its cup from Paris."""

    def __init__(self, **more: Any) -> None:
        self.engine = WholeEngine()
        self.outside = Outside(self.engine)
        for sku, location in LIMITS.items():
            self.submit(OpenLocation(location=location, country="DE"))
            self.submit(SetPresaleLimit(sku=sku, location=location, quantity=5))
        self.submit(PLACE.model_copy(update=more))

    def submit(self, *commands: Any) -> None:
        for command in commands:
            self.engine.submit(command)
            run_on(self.engine, self.outside)
            assert not failed(self.engine.history)

    def comes(self, *skus: str) -> None:
        for sku in skus:
            self.submit(ReceiveStock(sku=sku, location=LIMITS[sku], receipt_id="r", quantity=5))

    def deposit(self) -> tuple[int, int, int]:
        """Return what was held, applied and released."""
        (row,) = self.engine.open_rows("deposits")
        return row["held_minor"], row["applied_minor"], row["released_minor"]

    def sum_of(self, shape: type[Any]) -> int:
        return sum(r.event.amount_minor for r in self.engine.log if isinstance(r.event, shape))

    def phase(self) -> str:
        (row,) = self.engine.open_rows("order_status")
        return str(row["phase"])


def test_a_deposit_is_held_until_its_parcels_leave_and_then_applied() -> None:
    presale = Presale()
    assert (presale.phase(), presale.deposit()) == ("awaiting_stock", (1_000, 0, 0))
    presale.comes("POT")
    assert presale.deposit() == (1_000, 0, 0)
    presale.comes("CUP")
    assert (presale.phase(), presale.deposit()) == ("completed", (0, 1_000, 0))
    assert presale.sum_of(p.PaymentCaptured) == PLACE.total_minor
    assert presale.engine.open_rows("open_exceptions") == []


@pytest.mark.parametrize("deposit", [1, 2_300, PLACE.total_minor])
def test_a_deposit_of_any_part_of_the_total_is_applied_whole(deposit: int) -> None:
    presale = Presale(deposit_minor=deposit)
    presale.comes("POT", "CUP")
    assert (presale.phase(), presale.deposit()) == ("completed", (0, deposit, 0))
    assert presale.sum_of(p.PaymentCaptured) == PLACE.total_minor


def test_the_deposit_of_a_cancelled_presale_is_released() -> None:
    presale = Presale()
    presale.submit(o.CancelOrder(**OF, reason="changed my mind"))
    assert (presale.phase(), presale.deposit()) == ("cancelled", (0, 0, 1_000))


def test_refunds_of_a_presale_sum_exactly_to_what_it_cost() -> None:
    presale = Presale()
    presale.comes("POT", "CUP")
    for n in range(2):
        presale.submit(o.RefundOrder(**OF, refund_id=f"pot{n}", lines=(o.RefundLine(line_id="1", quantity=1),)))
    presale.submit(o.RefundOrder(**OF, refund_id="cup", lines=(o.RefundLine(line_id="2", quantity=1),)))
    presale.submit(o.RefundOrder(**OF, refund_id="rest", shipping_minor=401))
    assert presale.sum_of(p.PaymentRefunded) == PLACE.total_minor
    assert presale.deposit() == (0, 0, 1_000)


def test_goodwill_before_it_leaves_is_given_of_the_deposit_and_the_rest_is_applied() -> None:
    presale = Presale()
    presale.submit(o.RefundOrder(**OF, refund_id="late", goodwill_minor=300))
    presale.comes("POT", "CUP")
    assert presale.deposit() == (0, 700, 300)
    assert presale.engine.open_rows("open_exceptions") == []
