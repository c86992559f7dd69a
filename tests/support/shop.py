"""A small shop around the whole engine, to which stock comes when a test says."""

from __future__ import annotations

from typing import Any

from oms_es.schemas import order as o
from oms_es.schemas.catalog.location import OpenLocation
from oms_es.schemas.stock import ReceiveStock
from outside import Outside, run_on
from whole_engine import START, WholeEngine, failed


class Shop:
    """A whole engine with one open location, and no stock until it is received."""

    def __init__(self) -> None:
        self.engine = WholeEngine()
        self.outside = Outside(self.engine)
        self.submit(OpenLocation(location="berlin", country="DE"))

    def submit(self, *commands: Any) -> None:
        for command in commands:
            self.engine.submit(command)
            run_on(self.engine, self.outside)
        assert not failed(self.engine.history)

    def comes(self, *skus: str) -> None:
        self.submit(*(ReceiveStock(sku=sku, location="berlin", receipt_id="r", quantity=9) for sku in skus))

    def order(self, external_id: str) -> Any:
        order_id = o.order_id_of("web", external_id)
        (row,) = [row for row in self.engine.open_rows("order_status") if row["order_id"] == order_id]
        return row

    def left(self, external_id: str) -> list[str]:
        """Return the events of an order after which goods or money cannot be held back."""
        order_id = o.order_id_of("web", external_id)
        names = [
            type(each.event).__name__ for each in self.engine.log if getattr(each.event, "order_id", "") == order_id
        ]
        return [name for name in names if name in ("OrderReleased", "ShipmentDispatched", "PaymentCaptured")]

    def units(self) -> int:
        """Return the units of all orders that were not merged."""
        return sum(row["units"] for row in self.engine.open_rows("order_status") if row["phase"] != "merged")


def an_order(external_id: str, *lines: tuple[str, int], **more: Any) -> o.PlaceOrder:
    return o.PlaceOrder(
        channel="web",
        external_id=external_id,
        placed_at=START,
        currency="EUR",
        lines=tuple(
            o.OrderLine(line_id=str(n), sku=sku, quantity=quantity, unit_price_minor=10_000)
            for n, (sku, quantity) in enumerate(lines, start=1)
        ),
        ship_to=o.Address(country="DE"),
        **more,
    )
