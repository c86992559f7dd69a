"""Stock mover: receives moved units at their destination, and continues to cover presales until none can be covered.

Reads    StockMovedOut, StockPresaleCovered
Emits    AdmitMove, CoverPresales
Decides  nothing; units that left are there, or in transit until they are received.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.kernel import Consumer
from oms_es.schemas.stock import AdmitMove, CoverPresales, StockMovedOut, StockPresaleCovered

consumer = Consumer("stock_mover", emits=(AdmitMove, CoverPresales))


@consumer.on(StockMovedOut)
def admit_move_on_stock_moved_out(event: StockMovedOut) -> Iterator[AdmitMove]:
    yield AdmitMove(
        sku=event.sku,
        location=event.to_location,
        move_id=event.move_id,
        from_location=event.location,
        quantity=event.quantity,
        arrives_at=event.arrives_at,
        lot=event.lot,
        lot_expires_at=event.lot_expires_at,
        condition=event.condition,
        serials=event.serials,
    )


@consumer.on(StockPresaleCovered)
def cover_presale_on_stock_presale_covered(event: StockPresaleCovered) -> Iterator[CoverPresales]:
    if event.more:
        yield CoverPresales(sku=event.sku, location=event.location)
