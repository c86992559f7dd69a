"""Replenisher: where stock ran low, more is asked for.

Reads    StockRanLow
Emits    RequestReplenishment
Decides  nothing; how much is wanted is the reorder point's to say, who delivers it a person's.
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
