"""Replenisher: asks for more where stock ran low.

Reads    StockRanLow
Emits    RequestReplenishment
Decides  nothing; the reorder point says how much is wanted, and a person chooses the supplier.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.kernel import Consumer
from oms_es.schemas.stock import RequestReplenishment, StockRanLow

consumer = Consumer("replenisher", emits=(RequestReplenishment,))


@consumer.on(StockRanLow)
def request_replenishment_on_stock_ran_low(event: StockRanLow) -> Iterator[RequestReplenishment]:
    yield RequestReplenishment(
        sku=event.sku, location=event.location, request_id=f"low/{event.occasion}", quantity=event.quantity
    )
